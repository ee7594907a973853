"""Loads a model package by whatever name a user has for it, those of MLflow's registry included."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import UsageError
from medseg.models.package import ModelPackage, load_package
from medseg.tracking.registered import registered


def resolve_model(name_or_path: str | Path, *, option: str = "--model") -> ModelPackage:
    """Load the package of a shipped or imported model, of a folder or zip, or of ``models:/NAME@alias``.

    What is no model is a `UsageError` that repeats the option.
    """
    try:
        if str(name_or_path).startswith("models:/"):
            return load_package(registered(str(name_or_path)))
        return load_package(name_or_path)
    except UsageError as error:
        raise UsageError(error.what, where=f"{option} {name_or_path}", fix=error.fix) from error
