"""Rows of one file that are about the same SMB: which of them would count must not depend on the order of chunks.

Of rows with the same id or external id the first one counts. A row that only an email tells from others counts only
where no other row has that email. What this can't see before the SMBs are looked up is refused by the SMB itself.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import TextClause, text

from shared.runtime.database import Transaction

# A million keys are grouped in memory instead of in files.
MEMORY = text("SELECT set_config('work_mem', '64MB', true)")

_OURS = "tenant_id = :tenant_id AND job_id = :job_id"
_TWICE_BY = {
    name: f"""
        SELECT {name} AS same, min(line) AS kept FROM import_rows WHERE {_OURS} AND {name} IS NOT NULL
        GROUP BY {name} HAVING count(*) > 1"""  # noqa: S608  constants
    for name in ("id", "external_id")
}
_BY_EMAIL = "id IS NULL AND external_id IS NULL"
_TWICE_BY_EMAIL = f"""
    SELECT lower(primary_email) AS same, coalesce(min(line) FILTER (WHERE NOT ({_BY_EMAIL})), min(line)) AS kept
    FROM import_rows WHERE {_OURS} AND primary_email IS NOT NULL
    GROUP BY lower(primary_email) HAVING count(*) > 1 AND bool_or({_BY_EMAIL})"""  # noqa: S608  constants
# The SMBs that rows mean by different keys, as things are now.
_MEANT = f"""
    SELECT staged.line, smb.id FROM import_rows AS staged
    JOIN smbs AS smb ON smb.tenant_id = staged.tenant_id AND smb.id = staged.id
    WHERE staged.{_OURS.replace("AND ", "AND staged.")}
    UNION ALL
    SELECT staged.line, smb.id FROM import_rows AS staged
    JOIN smbs AS smb ON smb.tenant_id = staged.tenant_id AND smb.external_id = staged.external_id
        AND smb.deleted_at IS NULL
    WHERE staged.{_OURS.replace("AND ", "AND staged.")} AND staged.id IS NULL
    UNION ALL
    SELECT staged.line, smb.id FROM import_rows AS staged
    JOIN smbs AS smb ON smb.tenant_id = staged.tenant_id AND lower(smb.primary_email) = lower(staged.primary_email)
        AND smb.primary_email IS NOT NULL AND smb.deleted_at IS NULL
    WHERE staged.{_OURS.replace("AND ", "AND staged.")} AND staged.id IS NULL AND staged.external_id IS NULL"""  # noqa: S608
_TWICE_MEANT = f"""
    SELECT meant.line AS same, first.line AS kept FROM ({_MEANT}) AS meant
    JOIN (SELECT id, min(line) AS line FROM ({_MEANT}) AS meant GROUP BY id HAVING count(*) > 1) AS first
        ON first.id = meant.id"""  # noqa: S608  constants


def _exists(twice: str) -> TextClause:
    return text(f"SELECT EXISTS ({twice})")


def _refuse(twice: str, same: str, field: str, only: str = "true") -> TextClause:
    """Take those rows away that are not the kept one, and say so."""
    return text(
        f"""
        WITH twice AS ({twice}), gone AS (
            DELETE FROM import_rows AS staged USING twice
            WHERE staged.tenant_id = :tenant_id AND staged.job_id = :job_id AND {same} = twice.same
                AND staged.line <> twice.kept AND {only}
            RETURNING staged.line, staged.id, staged.external_id, staged.primary_email, twice.kept
        )
        INSERT INTO import_refusals (tenant_id, job_id, line, field, value, reason, smb_id, external_id, email)
        SELECT :tenant_id, :job_id, line, CAST(:column AS text), left(CAST({field} AS text), 199),
            'is about the same SMB as line ' || kept, id, external_id, lower(primary_email)
        FROM gone ON CONFLICT DO NOTHING
        """,  # noqa: S608  constants
    )


_KEYS = {
    "id": (_exists(_TWICE_BY["id"]), _refuse(_TWICE_BY["id"], "staged.id", "id")),
    "external_id": (
        _exists(_TWICE_BY["external_id"]),
        _refuse(_TWICE_BY["external_id"], "staged.external_id", "external_id"),
    ),
    "primary_email": (
        _exists(_TWICE_BY_EMAIL),
        _refuse(
            _TWICE_BY_EMAIL,
            "lower(staged.primary_email)",
            "primary_email",
            "staged.id IS NULL AND staged.external_id IS NULL",
        ),
    ),
}
_MEANT_TWICE = (
    _exists(_TWICE_MEANT),
    _refuse(_TWICE_MEANT, "staged.line", "coalesce(CAST(id AS text), external_id, primary_email)"),
)


async def refuse_repeated(
    transaction: Transaction, tenant_id: UUID, job_id: UUID, keys: Collection[str], columns: Mapping[str, str]
) -> int:
    """Refuse the staged rows that are about the same SMB as another one; gives how many.

    `keys` are the fields by which rows of the file are told from others; `columns` has the file's name of each field
    that it gives.
    """
    parameters = {"tenant_id": tenant_id, "job_id": job_id}
    await transaction.execute(MEMORY)
    checks = [(name, *_KEYS[name]) for name in ("id", "external_id") if name in columns]
    checks += [("primary_email", *_KEYS["primary_email"])] if "primary_email" in keys else []
    checks += [("", *_MEANT_TWICE)] if len(keys) > 1 else []
    refused = 0
    for name, exists, refuse in checks:
        if (await transaction.execute(exists, parameters)).scalar():
            refused += (await transaction.execute(refuse, parameters | {"column": columns.get(name)})).rowcount
    return refused
