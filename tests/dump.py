"""A full dump of a database, searched for what must not be in it."""

import asyncio
import re
import subprocess
from collections.abc import Collection

from deploy.local.postgres import programs

TABLE = re.compile(r"COPY public\.(\w+) \(")


async def tables_holding(url: str, texts: Collection[str]) -> set[str]:
    """Dump the whole database and tell in which tables one of `texts` stands, also inside bytes; any case.

    Partitions count as their table.
    """
    return await asyncio.to_thread(_tables_holding, url, texts)


def _tables_holding(url: str, texts: Collection[str]) -> set[str]:
    done = subprocess.run([programs() / "pg_dump", "--dbname", url], capture_output=True, text=True, check=True)
    # Bytes stand as hexadecimal digits in a dump.
    sought = [form.lower() for text in texts for form in (text, text.encode().hex(), text.upper().encode().hex())]
    found: set[str] = set()
    table = ""
    for line in done.stdout.splitlines():
        if beginning := TABLE.match(line):
            table = re.sub(r"_[0-9]+$", "", beginning[1])
        elif any(form in line.lower() for form in sought):
            found.add(table)
    return found
