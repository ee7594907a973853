"""Where results go, each by its name in the configuration."""

from __future__ import annotations

from urllib.parse import urlsplit

from medseg.errors import UsageError
from medseg.review.server.listening import is_loopback
from medseg.service.archive import Archive
from medseg.service.node.config import NodeConfig

DIMSE = ("dicom", "dicoms")


def committing(config: NodeConfig) -> tuple[str, ...]:
    """Destinations that are asked for storage commitment: DICOMweb has none that archives offer."""
    if not config.commitment:
        return ()
    return tuple(name for name, address in config.destinations.items() if urlsplit(address).scheme in DIMSE)


def archives(config: NodeConfig) -> dict[str, Archive]:
    """Read every destination; `UsageError` names the one that is not an address, or is this node."""
    tls = config.tls
    found = {
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
    for name, archive in found.items():
        here = archive.host == config.host or is_loopback(archive.host)
        if archive.protocol == "dimse" and here and archive.port == config.port:
            raise UsageError(
                "this is the address of the node itself",
                where=f"destinations.{name}",
                fix="Give the archive's port and application entity title.",
            )
    return found
