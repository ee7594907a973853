"""Registers model packages under a name, and finds them again as ``models:/NAME@alias`` or ``models:/NAME/VERSION``."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from medseg.errors import ModelError, UsageError
from medseg.resources import kept_once, store_folder

__all__ = ["registered"]

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
CARD_FILE = "model.yaml"


def registered(address: str) -> Path:
    """Folder of the package an address stands for, fetched once for each version.

    Raises
    ------
    UsageError
        When it is not written as an address is.
    InputError
        When the registry does not know it.
    ModelError
        When what it has is no model package.
    """
    from medseg.tracking.runs import Registry

    match = ADDRESS.fullmatch(address)
    if match is None:
        raise UsageError(f"'{address}' names no registered model", fix="Write models:/NAME@champion or models:/NAME/3.")
    registry = Registry(registry_folder())
    version, source = registry.find(match["name"], alias=match["alias"], version=match["version"])
    mark = hashlib.sha256(f"{registry.uri}\n{match['name']}\n{version}\n{source}".encode()).hexdigest()[:32]
    target = kept_once(store_folder().parent / "registered" / mark, lambda part: registry.fetch(source, part))
    cards = sorted(target.rglob(CARD_FILE))
    if len(cards) != 1:
        raise ModelError(
            f"what is registered holds {len(cards)} model packages, not one",
            where=address,
            fix="Register it with medseg models register.",
        )
    return cards[0].parent


def registry_folder() -> Path:
    """Where the registry lies unless ``MLFLOW_TRACKING_URI`` says: beside this user's models."""
    return store_folder().parent
