"""Decides whether what was erased stays so; the rest of a dump is for the other checkers. Pure.

A complaint that begins with E says that something of an erased SMB is left, came back, or was not told.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from uuid import UUID

from shared.schemas.identity import SmbKey
from tests.faults.checker import Dump, Head, Sent, check, in_order_without_gap, reported

UUIDS = re.compile(rb"[0-9a-f]{8}(?:-?[0-9a-f]{4}){4}[0-9a-f]{8}", re.IGNORECASE)
EMPTY = (0, 0, None)


def check_with_erased(dump: Dump) -> list[str]:
    """Return every broken promise; none when all hold, for the erased and for all others."""
    return [*erased_stays_erased(dump), *check(apart_from_erased(dump))]


def apart_from_erased(dump: Dump) -> Dump:
    """The dump without the records that name an erased SMB, and without its story."""
    sent = [one for one in dump.sent if not names_erased(one, dump.erased)]
    left_out = {one.place for one in dump.sent} - {one.place for one in sent}
    return replace(
        dump,
        sent=sent,
        acknowledged=dump.acknowledged - left_out,
        heads={smb: head for smb, head in dump.heads.items() if smb not in dump.erased},
        told=[one for one in dump.told if one.smb not in dump.erased],
    )


def erased_stays_erased(dump: Dump) -> Iterator[str]:
    """Nothing but an empty head is left of an erased SMB, and its story ends with its erasure."""
    yield from (f"E there again: {smb}" for smb in sorted(dump.erased & dump.live))
    named = {one.place for one in dump.sent if names_erased(one, dump.erased)}
    kept = {*(one.place for one in dump.events), *dump.copies, *(letter.place for letter in dump.letters)}
    yield from (f"E something of an erased SMB is kept: {place}" for place in sorted(named & kept))
    yield from (f"E an event is kept: {event}" for event in dump.events if event.smb in dump.erased)
    heads = {smb: head for smb, head in dump.heads.items() if smb in dump.erased}
    told = [one for one in dump.told if one.smb in dump.erased]
    yield from in_order_without_gap(replace(dump, heads=heads, told=told))
    yield from (f"E the head says something: {smb} {head}" for smb, head in heads.items() if not is_empty(head))
    last = {smb: max(story, key=lambda one: one.sequence) for smb, story in groupby(sorted(told), lambda one: one.smb)}
    yield from (f"E its erasure was not told last: {smb}" for smb in sorted(dump.erased) if not ends(last.get(smb)))
    numbers = {(one.smb, one.epoch, one.sequence) for one in told if one.type == "SMBErased"}
    if len(numbers) > len(dump.erased):
        yield f"E {len(numbers)} erasures told of {len(dump.erased)} SMBs"


def names_erased(sent: Sent, erased: frozenset[SmbKey]) -> bool:
    """Whether a record is about an erased SMB or, where it can't be read, mentions its id."""
    event = reported(sent)
    if event is not None:
        return event.smb in erased
    ids = {smb.smb_id for smb in erased}
    return any(UUID(found.decode()) in ids for part in (sent.key, sent.value) for found in UUIDS.findall(part or b""))


def is_empty(head: Head) -> bool:
    """Whether a head says nothing but how far the story went."""
    return (head.score, head.announced, head.scored_on) == EMPTY and not any(head.last_seen.values())


def ends(told: object) -> bool:
    """Whether this is how the story of an erased SMB ends."""
    return getattr(told, "type", None) == "SMBErased"
