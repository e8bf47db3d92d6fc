"""A file of SMBs as somebody might export it: wide rows of different lengths, one in a thousand wrong."""

import csv
import random
from pathlib import Path

COMMUNITIES = 200
BROKEN_EVERY = 1_000
COLUMNS = (
    "external_id",
    "business_name",
    "primary_email",
    "primary_phone",
    "industry_category",
    "business_description",
    "business_context",
    "community_slug",
    "service_model",
    "services_activated",
    "email_opted_in",
    "sms_opted_in",
    "rvm_opted_in",
)
OWNERS = ("Alma", "Bela", "Cora", "Dora", "Emil", "Frida", "Gus", "Hedy", "Ida", "Jon", "Kai", "Lena", "Max", "Nora")
TRADES = ("Bakery", "Café", "Garage", "Florist", "Dental Care", "Law Office", "Plumbing", "Books", "Yoga", "Hardware")
STREETS = (
    "on Main Street",
    "at the Mill",
    "& Sons",
    "& Daughters",
    "Downtown",
    "by the Lake",
    "of Springfield",
    "Ltd.",
)
DESCRIPTION = "Family business in the third generation, open daily. " * 4


def broken_lines(rows: int) -> set[int]:
    """The lines of the file that are wrong; the header is line 1."""
    return {number + 2 for number in range(BROKEN_EVERY // 2, rows, BROKEN_EVERY)}


def write_file(file: Path, rows: int) -> None:
    """Write a file of SMBs, one in a thousand with a phone that is none."""
    chance = random.Random(7)
    broken = broken_lines(rows)
    with file.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(COLUMNS)
        for number in range(rows):
            writer.writerow(
                (
                    f"crm-{number:07}",
                    _name(number, chance),
                    f"owner{number}@business{number % 1000}.example",
                    "none" if number + 2 in broken else f"+1212{number:07}",
                    chance.choice(TRADES).lower(),
                    DESCRIPTION,
                    '{"source": "import"}',
                    f"town-{number % COMMUNITIES}",
                    "managed" if number % 3 else "assisted",
                    "website" if number % 2 else "",
                    "true",
                    "true" if number % 4 == 0 else "false",
                    "true" if number % 5 == 0 else "false",
                ),
            )


def _name(number: int, chance: random.Random) -> str:
    """A name that many others resemble and a few share."""
    owners = f"{chance.choice(OWNERS)} {chance.choice(OWNERS)}"
    letters = f"{chr(65 + number % 26)}{chr(65 + number // 26 % 26)}"
    return f"{owners}'s {chance.choice(TRADES)} {chance.choice(STREETS)} {letters}"
