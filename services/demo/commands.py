"""Commands that somebody sends for the businesses' campaigns. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from random import Random

from services.demo.events import Message
from services.demo.population import Business, Population
from shared.schemas.commands import (
    CampaignCommand,
    CancelCampaign,
    PauseCampaign,
    ResumeCampaign,
    ScheduleCampaign,
    StartCampaign,
)
from shared.schemas.encoding import encode
from shared.schemas.identity import SmbKey
from shared.schemas.topics import CAMPAIGN_COMMANDS_TOPIC

SOURCE = "/modules/planning"
STARTED_SHARE = 0.55
SCHEDULED_SHARE = 0.15
# Of the started ones.
PAUSED_EVERY = 6
RESUMED_EVERY = 18
CANCELLED_EVERY = 25
FURTHEST_START_DAYS = 14


class CampaignDesk:
    """Writes commands, each with an id of its own."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._written = 0

    def open_campaigns(self, population: Population, now: datetime) -> list[Message]:
        """What the first morning brings: starts, schedules, pauses, and a few commands that can't be carried out.

        Two are refused (a start of a running campaign, and of a business that wants no contact), one is sent twice,
        one is for an SMB that nobody knows.
        """
        reachable = [one for one in population.known if not one.request.do_not_contact]
        chosen = self._random.sample(reachable, round(len(reachable) * (STARTED_SHARE + SCHEDULED_SHARE)))
        scheduled_from = round(len(reachable) * STARTED_SHARE)
        started, scheduled = chosen[:scheduled_from], chosen[scheduled_from:]
        messages = [message for number, one in enumerate(started, 1) for message in self._run(one, number, now)]
        messages += [self.schedule(one, now) for one in scheduled]
        messages.append(self._write(started[0].key, StartCampaign, now, "once more"))
        messages += [
            self._write(one.key, StartCampaign, now) for one in population.known if one.request.do_not_contact
        ][:1]
        messages.append(messages[0])
        messages.append(self._write(population.strangers[0].key, StartCampaign, now))
        return messages

    def schedule(self, business: Business, now: datetime) -> Message:
        """Plan a campaign for one of the next days, by the business' own calendar."""
        ahead = timedelta(days=self._random.randint(2, FURTHEST_START_DAYS))
        return self._write(business.key, ScheduleCampaign, now, start_date=now.astimezone(business.zone).date() + ahead)

    def any_command(self, businesses: Sequence[Business], now: datetime) -> Message:
        """What comes to somebody's mind about some business; the present state may not allow it."""
        business = self._random.choice(businesses)
        commands = (StartCampaign, PauseCampaign, ResumeCampaign, CancelCampaign)
        (command,) = self._random.choices(commands, (6, 3, 3, 1))
        return self._write(business.key, command, now, "on request")

    def _run(self, business: Business, number: int, now: datetime) -> Iterator[Message]:
        yield self._write(business.key, StartCampaign, now)
        if number % PAUSED_EVERY == 0:
            yield self._write(business.key, PauseCampaign, now, "renovation")
        if number % RESUMED_EVERY == 0:
            yield self._write(business.key, ResumeCampaign, now, "open again")
        if number % CANCELLED_EVERY == 0:
            yield self._write(business.key, CancelCampaign, now, "sold")

    def _write(
        self,
        smb: SmbKey,
        command: type[CampaignCommand],
        now: datetime,
        reason: str | None = None,
        start_date: date | None = None,
    ) -> Message:
        self._written += 1
        given = {"reason": reason, "start_date": start_date}
        data = command.model_validate(
            {"smb_id": smb.smb_id} | {name: value for name, value in given.items() if value is not None}
        )
        encoded = encode(data, id=f"command-{self._written:05d}", time=now, source=SOURCE, smb=smb)
        return Message(CAMPAIGN_COMMANDS_TOPIC, str(smb.smb_id).encode(), encoded.headers, encoded.value)
