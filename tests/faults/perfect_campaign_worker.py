"""A campaign worker that makes no mistakes, and what it leaves behind: what the mutants of the checker are made of."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime
from functools import cache

from shared.schemas.identity import Place, SmbKey
from tests.faults.campaign_checker import (
    ACTIONS,
    APPROVALS,
    MOVES,
    Asked,
    CampaignDump,
    Entry,
    Standing,
    Step,
    asked,
)
from tests.faults.campaign_traffic import campaign_traffic
from tests.faults.checker import Letter, Sent, Told

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SMBS = [SmbKey(uuid.UUID(int=1), uuid.UUID(int=number)) for number in range(1, 7)]
UNKNOWN = SMBS[-1]


class PerfectWorker:
    """Takes one record after another, as the rules say."""

    def __init__(self) -> None:
        self.taken: dict[object, Entry] = {}
        self.copies: set[Place] = set()
        self.letters: list[Letter] = []
        self.history: list[Step] = []
        self.told: list[Told] = []
        self.standings = {smb: Standing("draft", ()) for smb in SMBS if smb != UNKNOWN}
        self.numbers: Counter[SmbKey] = Counter()

    def take(self, record: Sent) -> None:
        """Settle one record."""
        one = asked(record)
        if one is None or (one.type in ACTIONS and one.smb == UNKNOWN):
            self.letters.append(Letter(record.place, "campaign", record.key, record.value, record.headers))
        elif one.identity in self.taken:
            self.copies.add(record.place)
        else:
            outcome = self.command(one) if one.type in ACTIONS else self.approve(one)
            self.taken[one.identity] = Entry(one, record.place, outcome)

    def command(self, one: Asked) -> str:
        """Do or refuse what is commanded; returns the outcome."""
        action, old = ACTIONS[one.type], self.standings[one.smb]
        origins, target = MOVES[action]
        outcome, new = ("applied", target) if old.status in origins else ("refused", old.status)
        self.history.append(Step(one.smb, action, outcome, old.status, new, one.id))
        if outcome == "applied":
            self.standings[one.smb] = old._replace(status=new)
            self.tell(one, "SMBCampaignChanged", {"old_status": old.status, "new_status": new})
        return outcome

    def approve(self, one: Asked) -> str:
        """Note an approval; returns the outcome."""
        if one.smb == UNKNOWN:
            return "applied" if one.service is None else "waiting"
        old = self.standings[one.smb]
        if one.service is not None and one.service not in old.pending:
            new = old._replace(pending=(*old.pending, one.service))
            self.standings[one.smb] = new
            self.tell(
                one, "SMBUpdated", {"changes": {"services_approved_pending": {"old": old.pending, "new": new.pending}}}
            )
        return "applied"

    def tell(self, one: Asked, type_: str, data: object) -> None:
        """Announce a change."""
        self.numbers[one.smb] += 1
        headers = (("ce_causationid", one.id.encode()),)
        self.told.append(Told(one.smb, 1, self.numbers[one.smb], type_, (headers, json.dumps(data).encode())))


@cache
def flawless(seed: int) -> CampaignDump:
    """Make what it leaves behind of random traffic, and of an approval that does not decode."""
    offsets: Counter[str] = Counter()
    sent: list[Sent] = []
    worker = PerfectWorker()
    for message in campaign_traffic(seed, SMBS, 300, NOW):
        place = Place(message.topic, 0, offsets[message.topic])
        offsets[message.topic] += 1
        sent.append(Sent(place, message.key, message.value, tuple(message.headers)))
        worker.take(sent[-1])
    nonsense = Sent(Place(APPROVALS, 0, offsets[APPROVALS]), None, b"{", ())
    return CampaignDump(
        sent=[*sent, nonsense],
        acknowledged=frozenset(one.place for one in sent),
        ledger=list(worker.taken.values()),
        copies=frozenset(worker.copies),
        letters=worker.letters,
        history=worker.history,
        standings=worker.standings,
        told=worker.told,
    )
