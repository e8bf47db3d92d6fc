"""The SQL that looks up which SMBs staged rows are about, and whether they change anything."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text

from services.records.jobs import OpenChunk
from shared.runtime.database import Transaction

# A row as it was staged, by the names of its columns, with what was found out about it: `smb_id`, `deleted_at` and
# `many` of the SMB that it is about, `slug_community_id`, `known_community_id`, `erased_at`, `is_taken`.
StagedRow = Mapping[str, Any]


class Meant(NamedTuple):
    """An SMB that a row was matched with, and by what: its external id, its email, or (neither) its id."""

    smb_id: UUID
    external_id: str | None
    email: str | None


# Read of a matched SMB: what rows are compared with.
_COMPARED = (
    "external_id",
    "business_name",
    "primary_email",
    "primary_phone",
    "industry_category",
    "business_description",
    "business_context",
    "community_id",
    "service_model",
    "services_activated",
    "email_opted_in",
    "sms_opted_in",
    "rvm_opted_in",
    "phone_opted_in",
    "do_not_contact",
)
_RANGE = """tenant_id = :tenant_id AND job_id = :job_id
            AND (bucket, line) >= (:first_bucket, :first_line) AND (bucket, line) <= (:last_bucket, :last_line)"""
# One look-up by an index for each row, whatever the planner thinks of tables that have just been filled.
_MATCHES = {
    "id": "smb.id = staged.id",
    "external_id": "staged.id IS NULL AND smb.external_id = staged.external_id AND smb.deleted_at IS NULL",
    "primary_email": """staged.id IS NULL AND staged.external_id IS NULL
                AND lower(smb.primary_email) = lower(staged.primary_email) AND smb.primary_email IS NOT NULL
                AND smb.deleted_at IS NULL""",
}
_ERASED = """
        LEFT JOIN smb_heads AS erased ON erased.tenant_id = :tenant_id AND erased.smb_id = staged.id
            AND erased.erased_at IS NOT NULL"""
# An external id that the row gives to the SMB of its id, but that belongs to another one.
_TAKEN = """(staged.id IS NOT NULL AND EXISTS (
            SELECT FROM smbs AS other WHERE other.tenant_id = :tenant_id AND other.external_id = staged.external_id
                AND other.deleted_at IS NULL AND other.id <> staged.id))"""
# Rows that were matched by external id or email are still about the same SMBs.
ANALYZE_GROWN_SMBS = text("SELECT smb_analyze_grown_smbs()")
STILL_MEANT = text(
    """
    SELECT count(*)
    FROM unnest(CAST(:smb_ids AS uuid[]), CAST(:external_ids AS text[]), CAST(:emails AS text[]))
        AS meant (id, external_id, email)
    JOIN smbs AS smb ON smb.tenant_id = :tenant_id AND smb.id = meant.id AND smb.deleted_at IS NULL
        AND (meant.external_id IS NULL OR smb.external_id = meant.external_id)
        AND (meant.email IS NULL OR lower(smb.primary_email) = lower(meant.email))
    """,
)
REMOVE_ROWS = text(f"DELETE FROM import_rows WHERE {_RANGE}")  # noqa: S608  the constant above
READ_PLACES = text(f"SELECT bucket, line FROM import_rows WHERE {_RANGE} ORDER BY bucket, line")  # noqa: S608  likewise


@cache
def _changed_rows(keys: tuple[str, ...], fields: tuple[str, ...]) -> TextClause:
    """The rows of a file with these fields that are not what their SMB is already, with what they are about."""
    by_slug, by_id = "community_slug" in fields, "community_id" in fields
    given = [name for name in fields if name not in {"id", "community_slug"}]
    compared = [name for name in _COMPARED if name in given or (by_slug and name == "community_id")]
    new_value = {name: f"staged.{name}" for name in given}
    told, joined, conditions = (
        [f"staged.{name}" for name in given],
        "",
        ["smb.id IS NULL", "smb.deleted_at IS NOT NULL"],
    )
    if by_slug:
        told += ["staged.community_slug", "of_slug.id AS slug_community_id"]
        joined += _community("of_slug", "slug = staged.community_slug")
        conditions.append("(staged.community_slug IS NOT NULL AND of_slug.id IS NULL)")
        new_value["community_id"] = "coalesce(staged.community_id, of_slug.id)" if by_id else "of_slug.id"
    if by_id:
        told.append("of_id.id AS known_community_id")
        joined += _community("of_id", "id = staged.community_id")
        conditions.append("(staged.community_id IS NOT NULL AND of_id.id IS NULL)")
    if "id" in fields:
        told.append("erased.erased_at")
        joined += _ERASED
    if {"id", "external_id"} <= set(fields):
        told.append(f"{_TAKEN} AS is_taken")
        conditions.append(_TAKEN)
    many = "count(*) OVER ()" if "primary_email" in keys else "1"
    if "primary_email" in keys:
        conditions.append("smb.many > 1")
    conditions += [f"coalesce({new_value[name]}, smb.{name}) IS DISTINCT FROM smb.{name}" for name in compared]
    if compared:
        clears = [f"('{name}' = ANY(staged.cleared) AND smb.{name} IS NOT NULL)" for name in compared]
        conditions.append(f"(staged.cleared IS NOT NULL AND ({' OR '.join(clears)}))")
    found = "".join(f", smb.{name}" for name in compared)
    matches = [
        f"SELECT smb.id, smb.deleted_at{found} FROM smbs AS smb WHERE smb.tenant_id = :tenant_id AND {_MATCHES[key]}"  # noqa: S608
        for key in keys
    ]
    return text(
        f"""
        WITH staged AS MATERIALIZED (SELECT * FROM import_rows WHERE {_RANGE})
        SELECT staged.bucket, staged.line, staged.id, staged.cleared, {", ".join(told)},
            smb.id AS smb_id, smb.deleted_at, smb.many
        FROM staged
        LEFT JOIN LATERAL (
            SELECT matched.*, {many} AS many FROM ({" UNION ALL ".join(matches)} LIMIT 2) AS matched
        ) AS smb ON true{joined}
        WHERE {" OR ".join(conditions)}
        ORDER BY staged.bucket, staged.line
        """,  # noqa: S608  constants
    )


def _community(name: str, condition: str) -> str:
    return f"""
        LEFT JOIN communities AS {name} ON {name}.tenant_id = :tenant_id AND {name}.{condition}"""


async def analyze_grown_smbs(transaction: Transaction) -> None:
    """Let PostgreSQL look at the SMBs where there are more than four times as many as when it looked last."""
    await transaction.execute(ANALYZE_GROWN_SMBS)


async def find_changed_rows(transaction: Transaction, chunk: OpenChunk) -> list[StagedRow]:
    """Give those rows of a chunk that are not what their SMB is already, or that are about none, in order.

    A row whose email several SMBs have comes more than once.
    """
    statement = _changed_rows(tuple(sorted(chunk.request["keys"])), tuple(sorted(chunk.request["columns"])))
    found = await transaction.execute(statement, _range_of(chunk))
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found.all()]


async def remove_rows(transaction: Transaction, chunk: OpenChunk) -> int:
    """Remove the staged rows of a chunk; gives how many there were."""
    return (await transaction.execute(REMOVE_ROWS, _range_of(chunk))).rowcount


async def are_still_meant(transaction: Transaction, tenant_id: UUID, meant: Sequence[Meant]) -> bool:
    """Tell whether locked SMBs are still those that rows were matched with."""
    parameters = {
        "tenant_id": tenant_id,
        "smb_ids": [one.smb_id for one in meant],
        "external_ids": [one.external_id for one in meant],
        "emails": [one.email for one in meant],
    }
    return int((await transaction.execute(STILL_MEANT, parameters)).scalar_one()) == len(meant)


async def read_places(transaction: Transaction, chunk: OpenChunk) -> list[tuple[int, int]]:
    """Give bucket and line of each staged row of a chunk, in order."""
    return [(row.bucket, row.line) for row in (await transaction.execute(READ_PLACES, _range_of(chunk))).all()]


def _range_of(chunk: OpenChunk) -> dict[str, Any]:
    rows = chunk.chunk
    return {
        "tenant_id": chunk.tenant_id,
        "job_id": chunk.job_id,
        "first_bucket": rows.first_bucket,
        "first_line": rows.first_line,
        "last_bucket": rows.last_bucket,
        "last_line": rows.last_line,
    }
