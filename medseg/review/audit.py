"""Audits a dataset before anything is trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import AtLeast0, AtLeast1
from medseg.data.audit import Audit
from medseg.data.audit import audit as audit_dataset
from medseg.data.describe import description_file, write_description
from medseg.data.layouts import read_dataset
from medseg.data.patient_groups import ready_to_split
from medseg.data.splits import sides, split_cases
from medseg.draw.audit_page import write_audit
from medseg.errors import ConfigError, UsageError
from medseg.io.files.writable import output_folder
from medseg.training.early_check import stated


@check_arguments
def audit(
    dataset: Path | str,
    out: Path | str | None = None,
    *,
    config: str | Path | None = None,
    settings: str | Sequence[str] = (),
    folds: AtLeast1 | None = None,
    fold: AtLeast0 = 0,
    jobs: AtLeast1 | None = None,
    describe: bool = False,
) -> Audit:
    """Read every case of a dataset and say what is wrong with it.

    Parameters
    ----------
    dataset : path
        The dataset, as it is.
    out : path, optional
        Folder for audit.html, audit.json, and what was measured of each case: an audit that was stopped resumes there,
        and another reads only the cases whose files have changed.
    config : str or Path, optional
        A configuration whose `dataset` says what the files do not; all of it is checked.
    settings : str or sequence of str
        Single values of the configuration, ``a.b=c`` each (``--set``).
    folds, fold : int, optional
        Look for what lies on both sides of this fold of this split; by default of the split that training makes.
    jobs : int, optional
        How many cases are read at a time; by default as many as cores and free memory allow.
    describe : bool
        First write what was read of the dataset as a table to edit: ``dataset.yaml`` in `out`, or in the dataset's own
        folder, where it is read in place of the files' names from then on.

    Returns
    -------
    Audit
        The findings, and the cases that can be trained on.

    Raises
    ------
    InputError
        When it is not a dataset.
    UsageError
        When the configuration does not exist or has a wrong key, or the dataset has too few cases for the folds.
    """
    folder = None if out is None else output_folder(out)
    if folds is not None and fold >= folds:
        raise UsageError(f"there is no such fold among {folds}", where=f"--fold {fold}", fix=f"Use 0 to {folds - 1}.")
    given = stated(config, listed(settings))
    data = ready_to_split(read_dataset(Path(dataset), given.dataset), given.split.group)
    if describe:
        write_description(data, description_file(data, folder))
    try:
        split = split_cases(data.labeled, folds=folds, fold=fold, seed=0)
    except ConfigError as error:
        if folds is None:
            asked = f"--fold {fold}" if error.where == "split.fold" else error.where
            raise UsageError(error.what, where=asked, fix=error.fix) from error
        raise UsageError(error.what, where=f"--folds {folds}", fix="Use fewer folds.") from error
    found = audit_dataset(data, side=sides(split), folder=folder, jobs=jobs)
    if folder is not None:
        write_audit(found, folder)
    return found
