"""What becomes of trouble: one line that says why and what to do, for everything that can be expected to happen."""

LONGEST_LINE_CHARACTERS = 500

_MIGRATE = "the database's schema is missing or older than this program: run `smb-crm migrate`"
# PostgreSQL's codes for what an installation gets wrong, and what to do about each.
_DATABASE_ADVICE = {
    "3D000": "the database does not exist: create it, then run `smb-crm migrate`",
    "28P01": "the database refuses the user or password of SMB_DATABASE_URL",
    "28000": "the database refuses the user of SMB_DATABASE_URL",
    "42P01": _MIGRATE,
    "42703": _MIGRATE,
    "42704": _MIGRATE,
    "22023": _MIGRATE,  # the role smb_worker does not exist yet
    "42501": "the database user of SMB_DATABASE_URL lacks a right: run `smb-crm migrate` as a user that may grant it",
    "53300": "the database has no connection left: raise max_connections or stop something that holds them",
    "57P03": "the database is starting up or shutting down: try again in a moment",
}
_KAFKA_ADVICE = {
    "UnknownTopicOrPartitionError": "topics are missing: run `smb-crm topics`",
    "KafkaConnectionError": "Kafka cannot be reached: is it running, and is SMB_KAFKA_BOOTSTRAP_SERVERS right?",
    "NodeNotReadyError": "Kafka cannot be reached: is it running, and is SMB_KAFKA_BOOTSTRAP_SERVERS right?",
    "KafkaTimeoutError": "Kafka does not answer in time: is the whole cluster up?",
}


class CommandFailed(Exception):
    """A command could not do what it was asked for. One line: why, and what to do about it."""


def explain(error: BaseException) -> str | None:
    """The one line for `error`; None for what nobody expected, which deserves its traceback."""
    # Only here, because most commands end well and should start quickly.
    from aiokafka.errors import KafkaError

    from shared.migrations.errors import MigrationError
    from shared.runtime.errors import RuntimeTrouble, is_temporary, one_line, sqlstate
    from shared.schemas.policy import PolicyError

    if isinstance(error, (CommandFailed, RuntimeTrouble, MigrationError, PolicyError)):
        return _cut(str(error))
    if isinstance(error, KafkaError):
        advice = _KAFKA_ADVICE.get(type(error).__name__, "Kafka refused: look at SMB_KAFKA_… and at the broker's log")
        return _cut(f"{advice} ({one_line(error)})")
    code = sqlstate(error)
    if code in _DATABASE_ADVICE:
        return _cut(f"{_DATABASE_ADVICE[code]} ({_innermost(error)})")
    if code is not None and is_temporary(error):
        return _cut(f"the database had trouble: try again ({_innermost(error)})")
    if is_temporary(error):
        return _cut(
            f"the database cannot be reached: is it running, and is SMB_DATABASE_URL right? ({one_line(error)})"
        )
    return None


def _innermost(error: BaseException) -> str:
    """The words of PostgreSQL itself, without the statement that it refused."""
    cause: BaseException = error
    while (nested := getattr(cause, "orig", None)) is not None or (nested := cause.__cause__) is not None:
        cause = nested
    return str(cause)


def _cut(text: str) -> str:
    line = " ".join(text.replace("\0", "\\0").split())
    return line if len(line) <= LONGEST_LINE_CHARACTERS else line[: LONGEST_LINE_CHARACTERS - 1] + "…"
