"""Who takes part in the demo: businesses in six communities, each with its time zone and its habits.

Pure: the random generator that is given decides everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from services.records.profiles import NewCommunity, NewSmb
from shared.schemas.identity import SmbKey

# Each has another offset for at least a part of the year: Phoenix knows no summer time.
COMMUNITIES = (
    ("Harlem", "NY", "New York", 116_000, "America/New_York"),
    ("Evanston", "IL", "Cook", 78_000, "America/Chicago"),
    ("Boulder", "CO", "Boulder", 105_000, "America/Denver"),
    ("Tempe", "AZ", "Maricopa", 185_000, "America/Phoenix"),
    ("Oakland", "CA", "Alameda", 430_000, "America/Los_Angeles"),
    ("Kailua", "HI", "Honolulu", 40_000, "Pacific/Honolulu"),
)
OWNERS = (
    *("Alma", "Bruno", "Chidi", "Dolores", "Esra", "Frank", "Grace", "Hana", "Ivan", "Joy", "Kofi", "Lena", "Mei"),
    *("Nadia", "Omar", "Priya", "Quinn", "Rosa", "Sven", "Tala", "Umberto", "Vera", "Wanda", "Ximena", "Yusuf", "Zoe"),
)
TRADES = (
    ("Bakery", "Food", "Bread, cakes and coffee, baked on the spot every morning since 1998."),
    ("Bike Repair", "Services", "Repairs bicycles while you wait, and sells used ones with a guarantee."),
    ("Dental Care", "Health", "Family dentist with evening hours and a playroom for children."),
    ("Florist", "Retail", "Flowers for weddings, funerals and Tuesday afternoons, delivered in town."),
    ("Plumbing", "Trades", "Emergency plumbing at any hour; new bathrooms from plan to tiles."),
    ("Tax Advice", "Finance", "Books, payroll and taxes for small companies, without surprises."),
    ("Yoga Studio", "Fitness", "Classes for beginners and old hands, in a former warehouse."),
)
SERVICE_MODELS = ("self-serve", "assisted", "full-service")
# Every so many businesses one wants no contact at all.
DO_NOT_CONTACT_EVERY = 40
# Share of the SMBs that report something before anybody has created them here.
NEWCOMERS_SHARE = 0.04
# Never created: what they do waits for them.
STRANGERS = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """Businesses with the same habits.

    `share` of the population; `activity` is how much they do, beside a regular's 1; `mix` how often they open an
    email, click, get a voicemail, look at content, finish it, approve a service, call back.
    """

    name: str
    share: float
    activity: float
    mix: tuple[int, int, int, int, int, int, int]


SEGMENTS = (
    Segment("champions", 0.10, 3.0, (32, 20, 6, 20, 10, 7, 5)),
    Segment("active", 0.22, 1.9, (36, 18, 8, 20, 9, 5, 4)),
    Segment("regulars", 0.38, 1.2, (44, 14, 12, 18, 6, 3, 3)),
    Segment("sleepers", 0.30, 0.15, (60, 6, 22, 8, 2, 1, 1)),
)


class Business(NamedTuple):
    """One SMB: what it is created with, where its clock stands and what it is like."""

    request: NewSmb
    zone: ZoneInfo
    segment: Segment

    @property
    def key(self) -> SmbKey:
        """The SMB's identity."""
        return self.request.key


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody: SMBs that are known from the start, those that are created later, those that never are."""

    communities: Sequence[NewCommunity]
    known: Sequence[Business]
    newcomers: Sequence[Business]
    strangers: Sequence[Business]

    @property
    def everybody(self) -> list[Business]:
        """All who report events."""
        return [*self.known, *self.newcomers, *self.strangers]

    def names(self) -> dict[UUID, str]:
        """What people call each SMB, by its id."""
        towns = {community.id: community.name for community in self.communities}
        return {
            one.key.smb_id: f"{one.request.business_name}, {towns[one.request.community_id]}"
            for one in self.everybody
            if one.request.community_id is not None
        }


def make_population(random: Random, smbs: int) -> Population:
    """Make `smbs` businesses (newcomers among them, strangers beside them) of one tenant in six communities."""
    tenant_id = random_id(random)
    communities = [
        NewCommunity(
            tenant_id=tenant_id,
            id=random_id(random),
            name=name,
            state=state,
            county=county,
            population=inhabitants,
            timezone=zone,
        )
        for name, state, county, inhabitants, zone in COMMUNITIES
    ]
    businesses = [_make_business(random, communities, number) for number in range(smbs + STRANGERS)]
    newcomers_from = smbs - max(1, round(smbs * NEWCOMERS_SHARE))
    return Population(communities, businesses[:newcomers_from], businesses[newcomers_from:smbs], businesses[smbs:])


def random_id(random: Random) -> UUID:
    """A UUID (version 4) out of this generator."""
    return UUID(int=random.getrandbits(128), version=4)


def _make_business(random: Random, communities: Sequence[NewCommunity], number: int) -> Business:
    community = communities[number % len(communities)]
    owner, (trade, industry, description) = random.choice(OWNERS), random.choice(TRADES)
    address = f"{owner}.{trade}.{number}".lower().replace(" ", "-")
    request = NewSmb(
        tenant_id=community.tenant_id,
        id=random_id(random),
        business_name=f"{owner}'s {trade}",
        external_id=f"crm-{number:05d}",
        primary_email=f"{address}@example.com" if random.random() < 0.95 else None,  # noqa: PLR2004  few have none
        primary_phone=f"+1 555 {random.randrange(200, 999)} {random.randrange(10_000):04d}",
        industry_category=industry,
        business_description=description if random.random() < 0.8 else None,  # noqa: PLR2004  likewise
        community_id=community.id,
        service_model=random.choice(SERVICE_MODELS),
        rvm_opted_in=random.random() < 0.5,  # noqa: PLR2004  half of them
        do_not_contact=number % DO_NOT_CONTACT_EVERY == DO_NOT_CONTACT_EVERY - 1,
    )
    (segment,) = random.choices(SEGMENTS, [segment.share for segment in SEGMENTS])
    return Business(request, ZoneInfo(community.timezone or "UTC"), segment)
