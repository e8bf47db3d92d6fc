"""Services that an SMB has approved and that nobody has activated yet, in the order in which approvals arrived."""

from collections.abc import Collection, Sequence


def approve(pending: Sequence[str], activated: Collection[str], service: str) -> tuple[str, ...]:
    """Give the pending services after an approval: at the end, unless activated or pending already."""
    if service in activated or service in pending:
        return tuple(pending)
    return (*pending, service)


def activate(pending: Sequence[str], activated: Collection[str]) -> tuple[str, ...]:
    """Give the pending services without those that are activated now."""
    return tuple(service for service in pending if service not in activated)
