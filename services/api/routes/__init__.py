"""The routes, one module for each noun. The order matters: fixed paths before those with an id in the same place."""

from fastapi import APIRouter

from services.api.routes import bulk, campaigns, communities, engagement, histories, imports, smb_changes, smbs

ROUTERS: tuple[APIRouter, ...] = (
    imports.uploads,
    imports.routes,
    bulk.routes,
    smbs.routes,
    smb_changes.routes,
    engagement.routes,
    histories.routes,
    campaigns.routes,
    communities.routes,
)
