"""Loads a model package by whatever name a user has for it, those of MLflow's registry included."""

from __future__ import annotations

from pathlib import Path

from medseg.models.package import ModelPackage, load_package
from medseg.tracking.registered import registered


def resolve_model(name_or_path: str | Path) -> ModelPackage:
    """Load the package of a shipped or imported model, of a folder or zip, or of ``models:/NAME@alias``."""
    if str(name_or_path).startswith("models:/"):
        return load_package(registered(str(name_or_path)))
    return load_package(name_or_path)
