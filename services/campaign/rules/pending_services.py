"""Services that an SMB has approved and that nobody has activated yet, in the order in which approvals arrived."""

from collections.abc import Collection, Sequence

PENDING_MOST = 200
"""An SMB waits for no more services than this: more names than that are a sender's mistake, and each is told anew."""


def is_full(pending: Sequence[str]) -> bool:
    """Tell whether no further service can become pending."""
    return len(pending) >= PENDING_MOST


def approve(pending: Sequence[str], activated: Collection[str], service: str) -> tuple[str, ...]:
    """Give the pending services after an approval: at the end, unless activated or pending already, or all is full."""
    if service in activated or service in pending or is_full(pending):
        return tuple(pending)
    return (*pending, service)


def activate(pending: Sequence[str], activated: Collection[str]) -> tuple[str, ...]:
    """Give the pending services without those that are activated now."""
    return tuple(service for service in pending if service not in activated)
