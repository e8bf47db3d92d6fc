"""Clients of the API: each asks, reads the whole answer, and asks again.

`python -m benchmarks.api_client` asks for one kind of thing after another, in rounds, and answers with a line for
each: the milliseconds of every request, as JSON. SMBs and places in lists are random, so that no cache flatters.
"""

import asyncio
import json
import re
from collections.abc import Callable
from random import Random
from time import perf_counter
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from benchmarks.api_server import FLOOR_PATH
from benchmarks.processes import BenchmarkFailed, answer, arguments, tell_ready_and_wait
from benchmarks.traffic import smb_id, tenant_id
from deploy.local.ports import LOOPBACK
from services.api.roles import PREFIX
from services.records.cursors import Cursor
from services.records.listing import name_of_list

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
OK = b"200"
# The first requests make connections and plans.
WARM_UP_SHARE = 0.2
# However slow it is.
LEAST_REQUESTS = 3
SMBS = f"{PREFIX}/smbs"
# All that is measured belongs to this one.
TENANT = 0


class Asked(NamedTuple):
    """What is asked for, by how many clients, for how long; `smbs` is how many SMBs there are."""

    kind: str
    clients: int
    seconds: float
    smbs: int


def _list(**query: object) -> str:
    return f"{SMBS}?{urlencode(query)}"


def _deep(random: Random, smbs: int) -> str:
    """The page behind any SMB of the list by name."""
    number = random.randint(1, smbs)
    place = Cursor(f"business number {number}", UUID(smb_id(number)))
    return _list(cursor=place.encode(name_of_list(UUID(tenant_id(TENANT)))))


def _one(random: Random, smbs: int) -> str:
    return f"{SMBS}/{smb_id(random.randint(1, smbs))}"


# The path of the next request, by the kind of thing.
PATHS: dict[str, Callable[[Random, int], str]] = {
    "floor": lambda _, __: FLOOR_PATH,
    "list by name": lambda _, __: SMBS,
    "list of tier 2, last changed first": lambda _, __: _list(engagement_tier=2, sort="-updated"),
    "list by name, deep page": _deep,
    "list, part of many names": lambda random, _: _list(q=random.randint(10, 99)),
    "list, part of few names": lambda random, smbs: _list(q=random.randint(smbs // 10, smbs)),
    "get": _one,
    "timeline": lambda random, smbs: f"{_one(random, smbs)}/engagement",
    "explain": lambda random, smbs: f"{_one(random, smbs)}/engagement/explain",
    "list by score": lambda _, __: _list(sort="-score"),
}


async def ask(port: int, token: str, asked: Asked, random: Random) -> list[float]:
    """Give the milliseconds of each request. Raises BenchmarkFailed for an answer that is not 200."""
    began = perf_counter()
    counted_from = began + asked.seconds * WARM_UP_SHARE
    until = counted_from + asked.seconds
    milliseconds: list[float] = []

    async def repeat() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        head = f"host: {LOOPBACK}\r\nauthorization: Bearer {token}\r\n\r\n"
        while (sent := perf_counter()) < until or len(milliseconds) < LEAST_REQUESTS:
            path = PATHS[asked.kind](random, asked.smbs)
            writer.write(f"GET {path} HTTP/1.1\r\n{head}".encode())
            await _read(reader, path)
            if sent >= counted_from:
                milliseconds.append((perf_counter() - sent) * 1000)
        writer.close()

    await asyncio.gather(*(repeat() for _ in range(asked.clients)))
    return milliseconds


async def _read(reader: asyncio.StreamReader, path: str) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    body = await reader.readexactly(int(length[1]) if length else 0)
    if head.split(b" ", 2)[1] != OK:
        message = f"GET {path}: {body.decode()}"
        raise BenchmarkFailed(message)


async def run(port: int, token: str, rounds: list[list[Asked]]) -> None:
    """Go through one round after another, each when told."""
    random = Random(port)
    for all_asked in rounds:
        tell_ready_and_wait()
        for asked in all_asked:
            answer(json.dumps(await ask(port, token, asked, random)))


if __name__ == "__main__":
    given = arguments()
    asyncio.run(run(given["port"], given["token"], [[Asked(*one) for one in asked] for asked in given["rounds"]]))
