"""Who asks: a JSON Web Token (RFC 7519) that names a tenant and a role.

The algorithms are pinned: HS256 with the one shared key, or what each key of the JWKS file is made for. What the
token's header asks for is only ever compared, never followed.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt

from services.api.problems import Problem
from services.api.roles import Role
from shared.runtime.errors import WrongSettings
from shared.runtime.settings import Settings

SHARED_KEY_ALGORITHM = "HS256"
# A shared key in a JWKS file would let everybody who can verify also sign.
PUBLIC_KEY_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"})
LEEWAY = timedelta(seconds=30)
REQUIRED_CLAIMS = ["exp", "iss", "aud", "sub", "tenant_id", "role"]
SUBJECT_MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Credential:
    """Whom a request comes from. Tenant and rights come from here and from nowhere else."""

    tenant_id: UUID
    role: Role
    subject: str


class Verifier:
    """Checks tokens by the settings. A JWKS file that was changed is read again when a token names an unknown key."""

    def __init__(self, settings: Settings) -> None:
        if settings.jwt_key is None and settings.jwt_jwks_file is None:
            message = "SMB_JWT_KEY: is missing (or SMB_JWT_JWKS_FILE): nobody could be let in"
            raise WrongSettings(message)
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._shared_key = settings.jwt_key.get_secret_value() if settings.jwt_key else None
        self._jwks_file = settings.jwt_jwks_file
        self._read_at = 0
        self._public_keys: dict[str | None, jwt.PyJWK] = {}
        if self._jwks_file is not None:
            self._public_keys = read_jwks(self._jwks_file)
            self._read_at = self._jwks_file.stat().st_mtime_ns

    def verify(self, authorization: str | None) -> Credential:
        """The credential of an Authorization header. Raises Problem 401."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorized("a bearer token is needed")
        try:
            key, algorithm = self._key_for(jwt.get_unverified_header(token.strip()))
            claims = jwt.decode(
                token.strip(),
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": REQUIRED_CLAIMS},
            )
            return _credential(claims)
        except jwt.ExpiredSignatureError:
            raise _unauthorized("the token has expired", error="invalid_token") from None
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            # Which part of a forged token is wrong is nobody's business.
            raise _unauthorized("the token is not valid here", error="invalid_token") from None

    def _key_for(self, header: dict[str, Any]) -> tuple[Any, str]:
        if self._shared_key is not None and header.get("alg") == SHARED_KEY_ALGORITHM:
            return self._shared_key, SHARED_KEY_ALGORITHM
        name = header.get("kid")
        if name not in self._public_keys:
            self._read_again()
        key = self._public_keys[name]
        return key.key, str(key.algorithm_name)

    def _read_again(self) -> None:
        if self._jwks_file is None:
            return
        try:
            changed_at = self._jwks_file.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._public_keys = read_jwks(self._jwks_file)
                self._read_at = changed_at
        except (OSError, WrongSettings):  # half-written: the keys that are known stay in force
            return


def read_jwks(path: Path) -> dict[str | None, jwt.PyJWK]:
    """The keys of a JWKS file (RFC 7517) by their `kid`. Raises WrongSettings."""
    try:
        keys = [jwt.PyJWK(key) for key in json.loads(path.read_text(encoding="utf-8"))["keys"]]
    except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
        message = f"SMB_JWT_JWKS_FILE: {path} holds no JSON Web Key Set: {type(error).__name__}"
        raise WrongSettings(message) from error
    wrong = [str(key.algorithm_name) for key in keys if key.algorithm_name not in PUBLIC_KEY_ALGORITHMS]
    if wrong or not keys:
        message = (
            f"SMB_JWT_JWKS_FILE: {path} must hold public keys, and only such ({', '.join(wrong) or 'it is empty'})"
        )
        raise WrongSettings(message)
    return {key.key_id: key for key in keys}


def mint(settings: Settings, tenant_id: UUID, role: Role, subject: str, lifetime: timedelta) -> str:
    """Make a development credential with the shared key. Raises WrongSettings when there is none."""
    if settings.jwt_key is None:
        message = "SMB_JWT_KEY: is missing; with SMB_JWT_JWKS_FILE only your identity provider makes tokens"
        raise WrongSettings(message)
    now = datetime.now(UTC)
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": subject,
        "tenant_id": str(tenant_id),
        "role": role.name.lower(),
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(claims, settings.jwt_key.get_secret_value(), SHARED_KEY_ALGORITHM)


def _credential(claims: dict[str, Any]) -> Credential:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_MAX_CHARACTERS:
        message = "no subject"
        raise ValueError(message)
    return Credential(UUID(claims["tenant_id"]), Role.named(claims["role"]), subject)


def _unauthorized(detail: str, error: str | None = None) -> Problem:
    challenge = f'Bearer error="{error}"' if error else "Bearer"
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
