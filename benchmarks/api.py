"""What the API answers, and how soon, to eight clients who ask without a pause, beside `SELECT 1` through all of it.

One tenant has nearly all SMBs. The API is one process, the clients are another one.
"""

from datetime import timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

from benchmarks.api_client import PATHS, TENANT, Asked
from benchmarks.data import HISTORY_DAYS, add_events, load_history, load_smbs, score_all, settle
from benchmarks.latency import Percentiles, percentiles
from benchmarks.sizes import EVENTS_PER_API_SMB
from benchmarks.stage import Installation, Stage
from benchmarks.table import Row, Series
from benchmarks.traffic import tenant_id
from deploy.local.ports import free_port
from services.api.credentials import mint
from services.api.roles import Role
from shared.runtime.settings import load_settings

CLIENTS = 8
FLOOR = "floor"
# It has no index, as its documentation says: asked by one client.
BY_SCORE = "list by score"
UNDER_LOAD = [kind for kind in PATHS if kind not in (FLOOR, BY_SCORE)]
# For each SMB of the one tenant, so many of others.
OTHERS_SHARE = 0.02
JWT_KEY = "a key that only this benchmark knows"
# Counted as always, and never reached.
RATE_LIMIT = "1000000/second"


async def run(stage: Stage) -> list[Row]:
    """The floor and each kind of request, in turn; then the floor and the list by score, by one client."""
    sizes = stage.sizes

    async def fill(installation: Installation) -> None:
        await _fill(stage, installation)

    asked = await stage.installation("api", fill)
    under_load = [Asked(kind, CLIENTS, sizes.api_seconds, sizes.api_smbs) for kind in (FLOOR, *UNDER_LOAD)]
    alone = [Asked(kind, 1, sizes.api_seconds, sizes.api_smbs) for kind in (FLOOR, BY_SCORE)]
    *rounds, last = await _ask(stage, asked, [under_load] * sizes.api_rounds + [alone])
    await stage.drop("api")
    facts = {"smbs": sizes.api_smbs, "events": sizes.api_smbs * EVENTS_PER_API_SMB}
    name = f"api, {sizes.api_smbs:,} SMBs"
    return [
        *(_row(f"{name}, {CLIENTS} clients", kind, rounds, facts) for kind in UNDER_LOAD),
        _row(f"{name}, 1 client", BY_SCORE, [last], facts),
    ]


def _row(benchmark: str, kind: str, rounds: list[dict[str, Percentiles]], facts: dict[str, Any]) -> Row:
    return Row(
        benchmark,
        Series(f"{kind}, p99", "ms", [one[kind].p99 for one in rounds]),
        Series("SELECT 1, p99", "ms", [one[FLOOR].p99 for one in rounds]),
        facts={"p50": [one[kind].p50 for one in rounds], "beside_p50": [one[FLOOR].p50 for one in rounds], **facts},
    )


async def _ask(stage: Stage, installation: Installation, rounds: list[list[Asked]]) -> list[dict[str, Percentiles]]:
    values: dict[str, Any] = {
        "database_url": installation.url,
        "kafka_bootstrap_servers": installation.settings.kafka_bootstrap_servers,
        "http_port": free_port(),
        "http_rate_limit": RATE_LIMIT,
        "jwt_key": JWT_KEY,
    }
    tenant = UUID(tenant_id(TENANT))
    token = mint(load_settings(**values), tenant, Role.READER, "benchmark", timedelta(hours=12))
    server = stage.processes.contestant("api_server", **values)
    client = stage.processes.contestant("api_client", port=values["http_port"], token=token, rounds=rounds)
    await server.ready()
    measured: list[dict[str, Percentiles]] = []
    for number, asked in enumerate(rounds, 1):
        await client.ready()
        await installation.connection.execute("CHECKPOINT")
        client.begin()
        measured.append({one.kind: percentiles(await client.results()) for one in asked})
        told = ", ".join(f"{kind} {one.p50:.1f}/{one.p99:.1f}" for kind, one in measured[-1].items())
        stage.tell(f"  round {number}, p50/p99 in ms: {told}")
    await stage.processes.end(client, server)
    return measured


async def _fill(stage: Stage, installation: Installation) -> None:
    smbs = stage.sizes.api_smbs
    others = round(smbs * OTHERS_SHARE)
    events = smbs * EVENTS_PER_API_SMB
    stage.tell(f"Making {smbs:,} SMBs of one tenant with {events:,} events, and {others:,} of others")
    began = perf_counter()
    connection = installation.connection
    await load_smbs(connection, 1, smbs, tenants=1, diverse=True)
    await load_smbs(connection, smbs + 1, smbs + others, diverse=True)
    await load_history(connection, smbs, events, tenants=1)
    await add_events(connection, first_smb=smbs + 1, smbs=others, events=others * EVENTS_PER_API_SMB, days=HISTORY_DAYS)
    await score_all(connection, installation.database)
    await settle(connection)
    stage.tell(f"  made in {perf_counter() - began:.0f} s")
