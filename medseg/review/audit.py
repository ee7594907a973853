"""Audits a dataset before anything is trained on it."""

from __future__ import annotations

from pathlib import Path

from medseg.data.audit import Audit
from medseg.data.audit import audit as audit_dataset
from medseg.data.description import description_in
from medseg.data.layouts import read_dataset
from medseg.data.splits import sides, split_cases
from medseg.draw.audit_page import write_audit
from medseg.io.files.writable import output_folder


def audit(
    dataset: Path | str, out: Path | str | None = None, *, config: str | None = None, folds: int = 5, fold: int = 0
) -> Audit:
    """Read every case of a dataset and say what is wrong with it.

    Parameters
    ----------
    dataset : path
        The dataset, as it is.
    out : path, optional
        Folder for audit.html and audit.json.
    config : str, optional
        A configuration whose `dataset` says what the files do not.
    folds, fold : int
        Look for what lies on both sides of this fold of this split.

    Returns
    -------
    Audit
        The findings, and the cases that can be trained on.

    Raises
    ------
    InputError
        When it is not a dataset.
    UsageError
        When the configuration does not exist.
    """
    folder = None if out is None else output_folder(out)
    data = read_dataset(Path(dataset), description_in(config))
    split = split_cases(data.labeled, folds=folds, fold=fold, seed=0)
    found = audit_dataset(data, side=sides(split))
    if folder is not None:
        write_audit(found, folder)
    return found
