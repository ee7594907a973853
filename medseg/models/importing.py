"""Brings other people's models into the store as packages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from medseg.errors import FormatLimitation, InputError, UsageError
from medseg.models.package import ModelPackage, write_package
from medseg.models.store import new_folder

__all__ = ["import_model"]


def import_model(
    path: Path,
    name: str,
    *,
    out: Path | None = None,
    configuration: str | None = None,
    folds: Sequence[str] | None = None,
    checkpoint: str | None = None,
    orientation: Literal["RAS", "stored"] | None = None,
    overwrite: bool = False,
) -> ModelPackage:
    """Import a trained model without running any code that comes with it.

    Parameters
    ----------
    path : Path
        A results folder or an exported zip of nnU-Net version 2.
    name : str
        What it will be called: ``--model NAME``.
    out : Path, optional
        A folder for the package; by default the user's store, where ``--model`` finds it by name.
    configuration, folds, checkpoint, orientation
        See `medseg.models.adapters.nnunet.read_nnunet`.
    overwrite : bool
        Replace a model of the same name.

    Raises
    ------
    InputError
        When the path holds no model.
    FormatLimitation
        When it holds one that medseg cannot run the same way.
    UsageError
        When the name is not one, or taken.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UsageError(f"'{name}' cannot be a model's name", fix="Use letters, digits, '_', '.' and '-'.")
    if not path.exists():
        raise InputError("there is no such file or folder", where=path)
    from medseg.models.adapters import nnunet

    if not nnunet.is_nnunet(path):
        raise FormatLimitation(
            "no kind of model that medseg imports",
            where=path,
            fix="Give a results folder or exported zip of nnU-Net v2.",
        )
    folder = out if out is not None else new_folder(name, overwrite=overwrite)
    card, weights = nnunet.read_nnunet(
        path,
        name,
        configuration=configuration,
        folds=folds,
        checkpoint=checkpoint or nnunet.CHECKPOINT,
        orientation=orientation,
    )
    return write_package(folder, card, weights)
