"""The policy: weights, caps, window, half-life, tiers, send time. A TOML file that is validated at the start."""

import json
import tomllib
from datetime import time
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from shared.schemas.bad_message import printable
from shared.schemas.fields import WITHOUT_NUL

VERSION_CHARACTERS = 12
COMPLETE_PROFILE_POINTS = 100
LOWEST_TIER = 4
REASON_MAX_CHARACTERS = 300


class PolicyError(Exception):
    """The policy can't be used; the message is one line that names the field."""


def _exact(value: object) -> Decimal:
    """Take a TOML number as it is written; `tomllib` gives decimals through `parse_float`."""
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return Decimal(value)
    raise PydanticCustomError("number", "Input should be a number")


def _clock_time(value: object) -> time:
    """Take HH:MM as a text, or what TOML calls a local time."""
    if isinstance(value, time):
        return value
    try:
        return time.fromisoformat(f"{value}:00" if isinstance(value, str) and len(value) == len("HH:MM") else "")
    except ValueError:
        raise PydanticCustomError("clock_time", 'Input should be a local time such as "09:00"') from None


Points = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=100, decimal_places=2, allow_inf_nan=False)]
Share = Annotated[int, Field(ge=0, le=100)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=WITHOUT_NUL)]


def hundredths(points: Decimal) -> int:
    """Return points of at most two decimals as whole hundredths, in which they are added exactly."""
    return int(points * 100)


class Section(BaseModel):
    """A part of the policy: frozen, strict, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class EventPoints(Section):
    """Points of one event of each kind, 0..100 with at most two decimals."""

    email_opened: Points
    rvm_delivered: Points
    email_clicked: Points
    callback_received: Points
    content_viewed: Points
    content_completed: Points


class Caps(Section):
    """The most points that each group adds to the score, 0..100 with at most two decimals."""

    reach: Points
    response: Points
    content: Points
    approval: Points


class ApprovalDecay(Section):
    """An approved approval counts `points` on its UTC day and half of that after each `half_life_days`."""

    points: Points
    half_life_days: Annotated[int, Field(ge=1, le=3_650)]


class Scoring(Section):
    """How events become a score; `window_days` UTC calendar days count, the day of the score included."""

    window_days: Annotated[int, Field(ge=1, le=3_650)]
    points: EventPoints
    caps: Caps
    approval: ApprovalDecay


class TierRule(Section):
    """One tier: who has at least `min_score` points and belongs to no better one."""

    tier: Annotated[int, Field(ge=1, le=LOWEST_TIER)]
    name: Name
    min_score: Share
    description: Name


class TierChanges(Section):
    """What holds a downgrade back: points below the threshold, and days since the last change; 0 is off."""

    downgrade_margin_points: Share
    minimum_dwell_days: Annotated[int, Field(ge=0, le=3_650)]


class CampaignRules(Section):
    """When campaigns send: a local time of the SMB's community, without zone."""

    send_time: Annotated[time, BeforeValidator(_clock_time)]

    @model_validator(mode="after")
    def _minute_of_a_local_day(self) -> Self:
        if self.send_time.tzinfo is not None or self.send_time.second or self.send_time.microsecond:
            raise PydanticCustomError("send_time", "send_time should be a whole minute without a zone")
        return self


class DataQuality(Section):
    """Points of each part of a complete profile; together 100."""

    business_name: Share
    email: Share
    phone: Share
    industry: Share
    description: Share
    community: Share
    service_model: Share
    opt_in: Share

    @model_validator(mode="after")
    def _sum_is_100(self) -> Self:
        total = sum(self.model_dump().values())
        if total != COMPLETE_PROFILE_POINTS:
            raise PydanticCustomError("sum", "weights should sum to 100, not {total}", {"total": total})
        return self


class Policy(Section):
    """Everything that the rules take from the operators; two equal policies have equal versions."""

    score: Scoring
    tiers: Annotated[tuple[TierRule, ...], Field(strict=False)]
    tier_changes: TierChanges
    campaign: CampaignRules
    data_quality: DataQuality

    @model_validator(mode="after")
    def _four_tiers_downwards(self) -> Self:
        if [rule.tier for rule in self.tiers] != list(range(1, LOWEST_TIER + 1)):
            raise PydanticCustomError("tiers", "tiers should be exactly 1, 2, 3 and 4, in this order")
        if any(better.min_score <= worse.min_score for better, worse in pairwise(self.tiers)):
            raise PydanticCustomError("tiers", "tiers should have a lower min_score from each tier to the next")
        if self.tiers[-1].min_score != 0:
            raise PydanticCustomError("tiers", "tiers should end with a min_score of 0, so that every score has a tier")
        return self

    @classmethod
    def default(cls) -> "Policy":
        """Return the policy that comes with the package."""
        return _parsed(files(__package__).joinpath("policy.toml").read_text(encoding="utf-8"), "policy.toml")

    @cached_property
    def version(self) -> str:
        """Short hash of everything in the policy, the same however the file is laid out and numbers are written."""
        document = _canonical(self.model_dump())
        return sha256(document.encode()).hexdigest()[:VERSION_CHARACTERS]

    def tier_of(self, score: int) -> TierRule:
        """Return the tier to which a score (0..100) belongs, dwell and margin aside."""
        return next(rule for rule in self.tiers if score >= rule.min_score)


def load_policy(path: Path | str) -> Policy:
    """Return the policy of a TOML file. Raises PolicyError, which names the file and the field."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = "not UTF-8" if isinstance(error, ValueError) else error.strerror
        raise PolicyError(f"{path}: {reason}") from None
    return _parsed(text, str(path))


def _parsed(text: str, name: str) -> Policy:
    try:
        document = tomllib.loads(text, parse_float=Decimal)
        return Policy.model_validate(document)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(printable(f"{name}: not TOML: {error}", REASON_MAX_CHARACTERS)) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or "policy"
        raise PolicyError(printable(f"{name}: {field}: {first['msg']}", REASON_MAX_CHARACTERS)) from None


def _canonical(value: object) -> str:
    def plain(part: object) -> int | str:
        return hundredths(part) if isinstance(part, Decimal) else str(part)

    return json.dumps(value, default=plain, sort_keys=True, separators=(",", ":"))
