"""Fault 21: a tenant that is only claimed. Whatever a message or a request says, no tenant reaches another's SMBs."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from services.api.application import create_application
from services.api.credentials import mint
from services.api.parts import Parts
from services.api.roles import Role
from services.verify import verify
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy
from tests.api.client import Client
from tests.campaign.test_worker import COMMANDS
from tests.campaign.test_worker import approved as approved_service
from tests.installation import Installation, event

KEY = "a key that is only used by tests, and long enough"


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    """An operator of some tenant, on the installation that the workers work for."""
    settings = installation.settings.model_copy(update={"jwt_key": SecretStr(KEY)})
    parts = Parts.of(settings)
    transport = httpx.ASGITransport(create_application(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test/api/v1") as http:
        tenant_id = uuid4()
        yield Client(http, settings, tenant_id, mint(settings, tenant_id, Role.OPERATOR, "x", timedelta(hours=1)))
    await parts.database.close()


async def test_a_claimed_tenant_reaches_nobody(installation: Installation, client: Client) -> None:
    for service in ("engagement", "campaign"):
        installation.start(service)
    ours = await client.create_smb()
    theirs = client.other(role=Role.OPERATOR, tenant_id=uuid4())
    # The same id in another tenant is another SMB, and the same event id there another event.
    same = await theirs.create_smb(id=ours["id"], business_name="Berta")
    keys = [SmbKey(one.tenant_id, ours["id"]) for one in (client, theirs)]
    forged = SmbKey(uuid4(), ours["id"])
    calls = [event("CallbackReceived", smb, id_="the-same", call_id="c") for smb in (*keys, forged)]
    await installation.publish([*calls, *calls])
    await installation.publish([event("EmailOpened", keys[0], message_id="m")])
    for smb, service in ((keys[0], "Web"), (forged, "Mail")):
        await installation.publish([approved_service(smb, service), event("StartCampaign", smb, topic=COMMANDS)])
    await installation.idle()
    assert (await client.get(f"/smbs/{ours['id']}"))["engagement_score"] == 11
    assert (await theirs.get(f"/smbs/{same['id']}"))["engagement_score"] == 5
    assert (await client.get(f"/smbs/{ours['id']}"))["campaign_status"] == "running"
    assert (await theirs.get(f"/smbs/{same['id']}"))["campaign_status"] == "draft"
    for who, services in ((client, ["Web"]), (theirs, [])):
        assert (await who.get(f"/smbs/{ours['id']}"))["services_approved_pending"] == services
    assert (await verify(installation.database, Policy.default())).mismatches == 0

    asked: dict[str, Any] = {
        "params": {"tenant_id": str(theirs.tenant_id)},
        "headers": {"X-Tenant-Id": str(theirs.tenant_id)},
    }
    assert (await client.get(f"/smbs/{ours['id']}", **asked))["business_name"] == "Café Alma"
    body = {"business_name": "C", "tenant_id": str(theirs.tenant_id)}
    refused = await client.ask("POST", "/smbs", json=body, **asked)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "tenant_id")
    changed = await client.ask("PATCH", f"/smbs/{ours['id']}", json={"business_name": "Changed"}, **asked)
    assert changed.status_code == 200
    assert (await theirs.get(f"/smbs/{same['id']}"))["business_name"] == "Berta"
