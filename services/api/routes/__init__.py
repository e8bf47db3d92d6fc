"""The routes, one module for each noun. The order matters: fixed paths before those with an id in the same place."""

from fastapi import APIRouter

from services.api.routes import campaigns, communities, engagement, smb_changes, smbs

ROUTERS: tuple[APIRouter, ...] = (
    smbs.routes,
    smb_changes.routes,
    engagement.routes,
    campaigns.routes,
    communities.routes,
)
