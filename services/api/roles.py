"""What each role may do: the one table. A route that is not in it can't be declared, so nothing is open by accident."""

import re
from enum import IntEnum
from types import MappingProxyType

# Before every path of the API.
PREFIX = "/api/v1"


class Role(IntEnum):
    """Roles of a credential; each may do what the ones before it may."""

    READER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> "Role":
        """The role of this name, in lower case. Raises KeyError."""
        return {role.name.lower(): role for role in cls}[name]


LEAST_ROLES = MappingProxyType(
    {
        "GET /smbs": Role.READER,
        "POST /smbs": Role.OPERATOR,
        "GET /smbs/{smb_id}": Role.READER,
        "GET /smbs/slug/{slug}": Role.READER,
        "PUT /smbs/{smb_id}": Role.OPERATOR,
        "PATCH /smbs/{smb_id}": Role.OPERATOR,
        "DELETE /smbs/{smb_id}": Role.OPERATOR,
        "POST /smbs/{smb_id}/restore": Role.OPERATOR,
        "POST /smbs/{smb_id}/erase": Role.ADMIN,
        "PUT /smbs/{smb_id}/business-context": Role.OPERATOR,
        "GET /smbs/{smb_id}/ai-context": Role.READER,
        "GET /smbs/{smb_id}/engagement": Role.READER,
        "GET /smbs/{smb_id}/engagement/score-history": Role.READER,
        "GET /smbs/{smb_id}/engagement/explain": Role.READER,
        "GET /smbs/{smb_id}/campaigns": Role.READER,
        "GET /smbs/{smb_id}/approvals": Role.READER,
        "GET /smbs/{smb_id}/content-views": Role.READER,
        "GET /smbs/{smb_id}/campaign-sends": Role.READER,
        "GET /smbs/{smb_id}/tier-changes": Role.READER,
        "POST /smbs/{smb_id}/campaign/start": Role.OPERATOR,
        "POST /smbs/{smb_id}/campaign/schedule": Role.OPERATOR,
        "POST /smbs/{smb_id}/campaign/pause": Role.OPERATOR,
        "POST /smbs/{smb_id}/campaign/resume": Role.OPERATOR,
        "POST /smbs/{smb_id}/campaign/cancel": Role.OPERATOR,
        "POST /smbs/import": Role.OPERATOR,
        "GET /smbs/import/{job_id}/status": Role.READER,
        "GET /smbs/import/{job_id}/errors": Role.OPERATOR,
        "POST /smbs/bulk-update": Role.OPERATOR,
        "GET /smbs/bulk-update/{bulk_id}/status": Role.READER,
        "GET /communities": Role.READER,
        "POST /communities": Role.OPERATOR,
        "GET /communities/{community_id}": Role.READER,
        "PUT /communities/{community_id}": Role.OPERATOR,
        "PATCH /communities/{community_id}": Role.OPERATOR,
        "DELETE /communities/{community_id}": Role.OPERATOR,
        "GET /communities/{community_id}/smbs": Role.READER,
        "GET /communities/{community_id}/stats": Role.READER,
    }
)
"""The least role for each route, as method and path below `/api/v1`."""

_TEMPLATES = [
    (re.compile(re.sub(r"\{[^/]+\}", "[^/]+", path)), method)
    for method, path in (route.split(" ") for route in LEAST_ROLES)
]


def methods_of(path: str) -> list[str]:
    """The methods that a path below `/api/v1` knows, sorted; none where no route leads."""
    return sorted({method for template, method in _TEMPLATES if template.fullmatch(path)})
