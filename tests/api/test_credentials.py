"""Who is let in: only tokens that our issuer made for us, that are still valid, and that name a tenant and a role."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.api.credentials import Verifier
from services.api.problems import Problem
from services.api.roles import Role
from shared.runtime.errors import WrongSettings
from shared.runtime.settings import Settings, load_settings

KEY = "a key that is only used by tests, and long enough for the longest of all algorithms"
TENANT = uuid4()


def settings(**given: Any) -> Settings:  # noqa: ANN401  the model checks each
    return load_settings(database_url="postgresql://somebody@nowhere/x", kafka_bootstrap_servers="nowhere:1", **given)


def claims(**changed: object) -> dict[str, Any]:
    """Claims of a good token, with some changed; None leaves one out."""
    good: dict[str, object] = {
        "iss": "smb-crm",
        "aud": "smb-crm",
        "sub": "somebody",
        "tenant_id": str(TENANT),
        "role": "operator",
        "exp": datetime.now(UTC) + timedelta(minutes=5),
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(key: Any = KEY, algorithm: str = "HS256", kid: str | None = None, **changed: object) -> str:  # noqa: ANN401  any key
    return jwt.encode(claims(**changed), key, algorithm, headers={"kid": kid} if kid else None)


def unsigned() -> str:
    """A token that says that it needs no signature."""

    def part(document: dict[str, Any]) -> str:
        return (
            urlsafe_b64encode(json.dumps(document, default=lambda moment: moment.timestamp()).encode())
            .rstrip(b"=")
            .decode()
        )

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}."


FORGED = {
    "no token at all": None,
    "another scheme": "Basic abc",
    "an empty token": "Bearer ",
    "no token, but words": "Bearer nonsense",
    "alg none": f"Bearer {unsigned()}",
    "another key": f"Bearer {signed('another key, which is just as long as ours is, so that only its letters differ')}",
    "another algorithm of the same key": f"Bearer {signed(algorithm='HS512')}",
    "expired": f"Bearer {signed(exp=datetime.now(UTC) - timedelta(minutes=2))}",
    "without an end": f"Bearer {signed(exp=None)}",
    "not valid yet": f"Bearer {signed(nbf=datetime.now(UTC) + timedelta(minutes=5))}",
    "another audience": f"Bearer {signed(aud='another')}",
    "no audience": f"Bearer {signed(aud=None)}",
    "another issuer": f"Bearer {signed(iss='another')}",
    "no tenant": f"Bearer {signed(tenant_id=None)}",
    "a tenant that is none": f"Bearer {signed(tenant_id='all')}",
    "no role": f"Bearer {signed(role=None)}",
    "a role that is none": f"Bearer {signed(role='owner')}",
    "no subject": f"Bearer {signed(sub=None)}",
    "an endless subject": f"Bearer {signed(sub='x' * 201)}",
}


@pytest.mark.parametrize("authorization", FORGED.values(), ids=FORGED.keys())
def test_a_token_that_is_not_ours_is_refused(authorization: str | None) -> None:
    with pytest.raises(Problem) as refused:
        Verifier(settings(jwt_key=KEY)).verify(authorization)
    assert (refused.value.status, refused.value.name) == (401, "unauthorized")
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_good_token_names_tenant_role_and_subject() -> None:
    credential = Verifier(settings(jwt_key=KEY)).verify(f"bearer {signed()}")
    assert (credential.tenant_id, credential.role, credential.subject) == (TENANT, Role.OPERATOR, "somebody")


def test_public_keys_come_from_a_file_are_read_again_when_it_changes_and_sign_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    first, second = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    file.write_text(key_set(first=first))
    verifier = Verifier(settings(jwt_jwks_file=file))
    assert verifier.verify(f"Bearer {signed(first, 'RS256', 'first')}").tenant_id == TENANT
    modulus = json.loads(key_set(first=first))["keys"][0]["n"]
    refused = (
        signed(second, "RS256", "second"),
        signed(second, "RS256", "first"),
        signed(first, "RS512", "first"),
        signed(modulus, "HS256", "first"),  # what is public taken for a shared key
        signed(first, "RS256"),
    )
    for token in refused:
        with pytest.raises(Problem):
            verifier.verify(f"Bearer {token}")
    file.write_text(key_set(second=second))
    assert verifier.verify(f"Bearer {signed(second, 'RS256', 'second')}").tenant_id == TENANT
    with pytest.raises(Problem):
        verifier.verify(f"Bearer {signed(first, 'RS256', 'first')}")


def test_keys_that_could_let_anybody_in_stop_the_start_by_name(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="SMB_JWT_KEY: is missing"):
        Verifier(settings())
    with pytest.raises(WrongSettings, match=r"SMB_JWT_KEY: .*at least 32"):
        settings(jwt_key="short")
    shared_key = {"kty": "oct", "kid": "x", "alg": "HS256", "k": "c2VjcmV0"}
    for content in ("nonsense", '{"keys": []}', json.dumps({"keys": [shared_key]})):
        file = tmp_path / "wrong.json"
        file.write_text(content)
        with pytest.raises(WrongSettings, match="SMB_JWT_JWKS_FILE"):
            Verifier(settings(jwt_jwks_file=file))


def key_set(**keys: rsa.RSAPrivateKey) -> str:
    """A JSON Web Key Set of the public keys, each for RS256 only."""
    described = [
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": name, "alg": "RS256"}
        for name, key in keys.items()
    ]
    return json.dumps({"keys": described})
