"""Where results go, each by its name in the configuration."""

from __future__ import annotations

from medseg.service.archive import Archive
from medseg.service.node.config import NodeConfig


def archives(config: NodeConfig) -> dict[str, Archive]:
    """Read every destination; `UsageError` names the one that is not an address."""
    tls = config.tls
    return {
        name: Archive.parse(
            address,
            aet=config.aet,
            user=config.users.get(name),
            authority=tls.authority,
            certificate=tls.certificate if address.startswith("dicoms:") else None,
            private_key=tls.key if address.startswith("dicoms:") else None,
            option=f"destinations.{name}",
        )
        for name, address in config.destinations.items()
    }
