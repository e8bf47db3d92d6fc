"""Who may do what: one line for each route, with an example body where it takes one.

r reader, o operator, a administrator. Written down here a second time, beside `services/api/roles.py`, so that a change
of rights is a change of two tables.
"""

from typing import Any, NamedTuple


class Right(NamedTuple):
    """A route, who may use it, and an example body that is right in form."""

    method: str
    path: str
    allowed: str
    body: Any = None


NAME = {"business_name": "Alma"}
COMMUNITY = {"name": "Alma", "state": "NY"}
RIGHTS = (
    Right("GET", "/smbs", "roa"),
    Right("POST", "/smbs", "oa", NAME),
    Right("GET", "/smbs/{smb_id}", "roa"),
    Right("GET", "/smbs/slug/{slug}", "roa"),
    Right("PUT", "/smbs/{smb_id}", "oa", NAME),
    Right("PATCH", "/smbs/{smb_id}", "oa", NAME),
    Right("DELETE", "/smbs/{smb_id}", "oa"),
    Right("POST", "/smbs/{smb_id}/restore", "oa"),
    Right("POST", "/smbs/{smb_id}/erase", "a"),
    Right("PUT", "/smbs/{smb_id}/business-context", "oa", {}),
    Right("GET", "/smbs/{smb_id}/ai-context", "roa"),
    Right("GET", "/smbs/{smb_id}/engagement", "roa"),
    Right("GET", "/smbs/{smb_id}/engagement/score-history", "roa"),
    Right("GET", "/smbs/{smb_id}/engagement/explain", "roa"),
    Right("GET", "/smbs/{smb_id}/campaigns", "roa"),
    Right("GET", "/smbs/{smb_id}/approvals", "roa"),
    Right("GET", "/smbs/{smb_id}/content-views", "roa"),
    Right("GET", "/smbs/{smb_id}/campaign-sends", "roa"),
    Right("GET", "/smbs/{smb_id}/tier-changes", "roa"),
    Right("POST", "/smbs/{smb_id}/campaign/start", "oa", {}),
    Right("POST", "/smbs/{smb_id}/campaign/schedule", "oa", {"start_date": "2999-01-01"}),
    Right("POST", "/smbs/{smb_id}/campaign/pause", "oa", {"reason": "holiday"}),
    Right("POST", "/smbs/{smb_id}/campaign/resume", "oa", {}),
    Right("POST", "/smbs/{smb_id}/campaign/cancel", "oa", {}),
    Right("POST", "/smbs/import", "oa", [{"external_id": "x-1", "business_name": "Alma"}]),
    Right("GET", "/smbs/import/{job_id}/status", "roa"),
    Right("GET", "/smbs/import/{job_id}/errors", "oa"),
    Right("POST", "/smbs/bulk-update", "oa", {"filter": {}, "changes": {"do_not_contact": False}, "dry_run": True}),
    Right("GET", "/smbs/bulk-update/{bulk_id}/status", "roa"),
    Right("GET", "/communities", "roa"),
    Right("POST", "/communities", "oa", COMMUNITY),
    Right("GET", "/communities/{community_id}", "roa"),
    Right("PUT", "/communities/{community_id}", "oa", COMMUNITY),
    Right("PATCH", "/communities/{community_id}", "oa", {"name": "Berta"}),
    Right("DELETE", "/communities/{community_id}", "oa"),
    Right("GET", "/communities/{community_id}/smbs", "roa"),
    Right("GET", "/communities/{community_id}/stats", "roa"),
)
