"""What is to become of the staged rows of a chunk, as things are now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import sha1
from typing import Any, NamedTuple
from uuid import UUID

from services.records.changes import SmbChange
from services.records.files.columns import RefusedRow, shown_value
from services.records.imports.matching import Meant, StagedRow
from services.records.jobs import OpenChunk
from services.records.profiles import NewSmb
from shared.schemas.fields import of_checked
from shared.schemas.identity import SmbKey

_PROFILE = frozenset(NewSmb.model_fields) - {"tenant_id", "id", "business_context"}
_NAMELESS = "there is no such SMB, and the file has no column business_name to create it with"
_VERSION_AND_VARIANT = (7 << 76) | (2 << 62)
_RANDOM = (1 << 62) - 1


class Planned(NamedTuple):
    """What one row asks for; `context` replaces the business context of an SMB that exists."""

    row: StagedRow
    request: NewSmb | SmbChange
    context: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Plan:
    """What is to become of the rows that are not what their SMB is already."""

    new: list[Planned] = field(default_factory=list)
    changes: list[Planned] = field(default_factory=list)
    meant: list[Meant] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)

    @property
    def changed_keys(self) -> list[SmbKey]:
        """The SMBs that rows were matched with."""
        return [one.request.key for one in self.changes]

    @property
    def new_keys(self) -> list[SmbKey]:
        """The SMBs that are to be created."""
        return [one.request.key for one in self.new]

    @property
    def gives_names(self) -> bool:
        """Whether an SMB that exists may get another external id."""
        return any("external_id" in one.request.model_fields_set for one in self.changes)


class _Unfit(Exception):
    """Why a row can't be carried out: the field, its value and the reason."""

    def __init__(self, field_name: str, value: object, reason: str) -> None:
        super().__init__(reason)
        self.field_name = field_name
        self.value = value
        self.reason = reason


def plan(chunk: OpenChunk, rows: Iterable[StagedRow]) -> Plan:
    """Decide about rows as `matching.find_changed_rows` gives them, in their order."""
    planned = Plan()
    columns: Mapping[str, str] = chunk.request["columns"]
    profile = [name for name in columns if name in _PROFILE]
    before = None
    for row in rows:
        if row["line"] == before:
            continue  # the other SMB of an ambiguous email
        before = row["line"]
        try:
            _require_fit(row)
            given = _given(row, profile)
            if row["smb_id"] is None:
                planned.new.append(Planned(row, _new_smb(chunk, row, given, columns)))
            else:
                planned.changes.append(_change(chunk, row, given))
                planned.meant.append(_meant(row))
        except _Unfit as unfit:
            planned.refused.append(refused_row(row, columns, unfit.field_name, unfit.value, unfit.reason))
    return planned


def refused_row(row: StagedRow, columns: Mapping[str, str], field_name: str, value: object, reason: str) -> RefusedRow:
    """Say of a row, in the words of its file, why it is refused."""
    column = columns.get(field_name)
    if field_name == "community_id" and column is None:
        column = columns.get("community_slug")
    smb_id = row["smb_id"] or row["id"]
    return RefusedRow(
        line=row["line"],
        column=column,
        value=None if value is None else shown_value(value if isinstance(value, str) else str(value)),
        reason=reason,
        smb_id=None if smb_id is None else str(smb_id),
        external_id=row.get("external_id"),
        email=row.get("primary_email"),
    )


def made_id(job_id: UUID, opened_at: datetime, bucket: int, line: int) -> UUID:
    """The id of the SMB that a row creates, the same whenever it is asked for (version 7).

    Ids of one import follow each other as its buckets do: so the rows that one transaction inserts lie together in the
    tables and their indexes.
    """
    milliseconds = int(opened_at.timestamp() * 1000)
    digest = sha1(job_id.bytes + line.to_bytes(4, "big"), usedforsecurity=False).digest()
    random = int.from_bytes(digest[:8], "big") & _RANDOM
    return UUID(int=(milliseconds << 80) | (bucket << 64) | _VERSION_AND_VARIANT | random)


def _require_fit(row: StagedRow) -> None:
    """Raise _Unfit where the row can't be carried out whatever its other cells say."""
    if row["smb_id"] is not None and row["many"] > 1:
        raise _Unfit("primary_email", row["primary_email"], "several SMBs have this email; name the id or external_id")
    if row["deleted_at"] is not None:
        raise _Unfit("id", row["id"], "is deleted: it has to be restored before it can change")
    if row.get("community_slug") is not None and row["slug_community_id"] is None:
        raise _Unfit("community_slug", row["community_slug"], "there is no community of this slug")
    if row.get("community_id") is not None and row["known_community_id"] is None:
        raise _Unfit("community_id", row["community_id"], "there is no such community")
    if row.get("erased_at") is not None:
        raise _Unfit("id", row["id"], "was erased, and can't come back")
    if row.get("is_taken"):
        raise _Unfit("external_id", row["external_id"], "belongs to another SMB")


def _new_smb(chunk: OpenChunk, row: StagedRow, given: Mapping[str, Any], columns: Mapping[str, str]) -> NewSmb:
    if "business_name" not in given:
        raise _Unfit("business_name", None, "a new SMB needs a name" if "business_name" in columns else _NAMELESS)
    values = {**_defaults(NewSmb), **given}
    values["tenant_id"] = chunk.tenant_id
    values["id"] = row["id"] or made_id(chunk.job_id, chunk.opened_at, row["bucket"], row["line"])
    values["business_context"] = row.get("business_context") or {}
    return of_checked(NewSmb, values)


def _change(chunk: OpenChunk, row: StagedRow, given: dict[str, Any]) -> Planned:
    for name in row["cleared"] or ():
        given[name] = None
    values = {**_defaults(SmbChange), **given, "tenant_id": chunk.tenant_id, "id": row["smb_id"]}
    return Planned(row, of_checked(SmbChange, values, given.keys()), row.get("business_context"))


def _given(row: StagedRow, profile: Sequence[str]) -> dict[str, Any]:
    """The values that a row gives to fields of the profile."""
    given = {name: value for name in profile if (value := row[name]) is not None}
    if "services_activated" in given:
        given["services_activated"] = tuple(given["services_activated"])
    if row.get("slug_community_id") is not None:
        given.setdefault("community_id", row["slug_community_id"])
    return given


def _meant(row: StagedRow) -> Meant:
    if row["id"] is not None:
        return Meant(row["smb_id"], None, None)
    external_id = row.get("external_id")
    return Meant(row["smb_id"], external_id, row["primary_email"] if external_id is None else None)


@cache
def _defaults(model: type[NewSmb] | type[SmbChange]) -> Mapping[str, Any]:
    """What stands for fields that a row does not give."""
    return {name: one.get_default(call_default_factory=False) for name, one in model.model_fields.items()}
