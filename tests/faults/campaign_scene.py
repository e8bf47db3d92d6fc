"""What the fault tests of campaigns share: dumping commands, approvals and what became of them for their checker."""

import json

from shared.schemas.identity import Place, SmbKey
from tests.faults.campaign_checker import (
    APPROVALS,
    COMMANDS,
    Asked,
    CampaignDump,
    Entry,
    Standing,
    Step,
    check_campaigns,
)
from tests.faults.checker import Dump, Sent, in_order_without_gap
from tests.faults.scene import Load, copies_of, letters, plain, read_topics, short
from tests.installation import Installation


async def campaigns_hold(installation: Installation, everything: Dump, *loads: Load) -> CampaignDump:
    """Dump campaigns beside everything, and require that nothing is wrong with any of them or any SMB's story."""
    dump = await campaigns_dumped(installation, everything, *loads)
    complaints = [*in_order_without_gap(everything), *check_campaigns(dump)]
    assert complaints == [], "\n".join(complaints[:20])
    return dump


async def campaigns_dumped(installation: Installation, everything: Dump, *loads: Load) -> CampaignDump:
    """Read the topic of commands and the tables of campaigns beside what was dumped already."""
    commands = [
        Sent(Place(topic, one.partition, one.offset), one.key, one.value, tuple(one.headers))
        for topic, one in await read_topics(installation, {COMMANDS})
    ]
    smbs = await installation.fetch("SELECT * FROM smbs")
    topics = {COMMANDS, APPROVALS}
    return CampaignDump(
        sent=[*commands, *(one for one in everything.sent if one.place.topic == APPROVALS)],
        acknowledged=frozenset(place for load in loads for place in load.acknowledged if place.topic in topics),
        ledger=await _ledger(installation),
        copies=frozenset(place for place in await copies_of(installation, "campaign") if place.topic in topics),
        letters=[letter for letter in await letters(installation) if letter.place.topic == COMMANDS],
        history=await _history(installation),
        standings={
            SmbKey(plain(row["tenant_id"]), plain(row["id"])): Standing(
                row["campaign_status"], tuple(json.loads(row["services_approved_pending"]))
            )
            for row in smbs
        },
        told=everything.told,
    )


async def _ledger(installation: Installation) -> list[Entry]:
    return [
        Entry(
            Asked(
                SmbKey(plain(row["tenant_id"]), plain(row["smb_id"])),
                row["source"],
                row["event_id"],
                row["type"],
                row["service"],
            ),
            Place(short(installation, row["topic"]), row["partition_number"], row["partition_offset"]),
            row["outcome"],
        )
        for row in await installation.fetch("SELECT * FROM campaign_inputs ORDER BY arrival")
    ]


async def _history(installation: Installation) -> list[Step]:
    return [
        Step(
            SmbKey(plain(row["tenant_id"]), plain(row["smb_id"])),
            row["action"],
            row["outcome"],
            row["old_status"],
            row["new_status"],
            row["caused_by"],
        )
        for row in await installation.fetch("SELECT * FROM campaign_transitions ORDER BY id")
    ]
