"""Measures predictions against references, and adds the figures to an MLflow run where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import AtLeast1, ClassValue, MoreThan0
from medseg.errors import UsageError
from medseg.evaluation.evaluate import EvaluationFiles, measure_folders
from medseg.evaluation.evaluation import Evaluation
from medseg.evaluation.options import EvaluateOptions, options_from
from medseg.evaluation.report import write_evaluation
from medseg.evaluation.tables import require_pyarrow
from medseg.io.files.writable import report_folder
from medseg.tracking.evaluation_figures import record_evaluation
from medseg.tracking.runs import OpenRun


@check_arguments
def evaluate(
    predictions: Path | str,
    references: Path | str,
    out: Path | str | None = None,
    *,
    table: Path | str | None = None,
    group_by: str | Sequence[str] = (),
    classes: Mapping[ClassValue, str] | None = None,
    regions: Mapping[str, Sequence[ClassValue]] | None = None,
    tolerances: Sequence[MoreThan0] | None = None,
    objects: Literal["components", "instances", "none"] | None = None,
    images: Path | str | None = None,
    probabilities: Path | str | None = None,
    config: Path | str | EvaluateOptions | None = None,
    settings: str | Sequence[str] = (),
    jobs: AtLeast1 | None = None,
    keep_names: bool = False,
    parquet: bool = False,
    mlflow_run: str | None = None,
) -> Evaluation:
    """Measure predictions against references, by class, object, region and group.

    Parameters
    ----------
    predictions, references : path
        Folders of label files, outputs of `medseg predict`, datasets with labelsTr, or two files.
    out : path, optional
        Folder for per_case.csv, summary.json, summary.tex and report.html; nothing is written without it.
    table : path, optional
        CSV with case_id, and prediction, reference, patient, and columns of groups.
    group_by : str or sequence of str
        Columns of the table to report by.
    classes : mapping of int to str, optional
        Names by value (``--class``); measures these classes only.
    regions : mapping of str to sequence of int, optional
        Unions of classes (``--region``), each measured as one class more.
    tolerances : sequence of float, optional
        For NSD, mm (``--tolerance``); 1 and 2 by default.
    objects : {"components", "instances", "none"}, optional
        Objects are connected components of each class, or the files' values are ids of objects, or none.
    images : path, optional
        Folder of scans to draw under the worst cases; ``imagesTr`` beside the references is found without it.
    probabilities : path, optional
        Folder of probabilities, for calibration and FROC; those beside the labels are found without it.
    config : path or EvaluateOptions, optional
        Options from a YAML file, or as an object; the options given here come on top.
    settings : str or sequence of str
        Single options on top of all, such as ``"lesions.dilation=1"`` (``--set``).
    keep_names : bool
        Leave file names that look like a patient's in case ids and reports; by default they are hashed.
    jobs : int, optional
        Cases measured at the same time.
    parquet : bool
        Write per_case.parquet too.
    mlflow_run : str, optional
        Id of the MLflow run to add means, medians and pooled figures to. Without it they go to the run this process
        has open, or ``MLFLOW_RUN_ID`` names; to none where there is neither.

    Returns
    -------
    Evaluation
        A case that cannot be measured is in `failed` with its reason, and the others are measured.

    Raises
    ------
    InputError
        When nothing can be paired.
    UsageError
        When a path or the MLflow run does not exist.
    ConfigError
        When an option has no possible value.
    MissingDependency
        When Parquet is asked for and pyarrow is not installed.
    """
    folder = None if out is None else report_folder(out)
    options = options_from(
        config,
        listed(settings),
        classes=classes,
        regions=regions,
        tolerances_mm=tolerances,
        objects=objects,
        jobs=jobs,
        keep_names=keep_names or None,
    )
    files = EvaluationFiles(
        _existing(predictions),
        _existing(references),
        table=None if table is None else _existing(table),
        group_by=tuple(listed(group_by)),
        probabilities=None if probabilities is None else _existing(probabilities),
    )
    scans = _beside(files.references) if images is None else _existing(images)
    # Before anything is measured: what is missing must not cost the measurement.
    if parquet:
        require_pyarrow()
    tracked = OpenRun.find(mlflow_run, [place for place in (files.predictions, folder, Path()) if place])
    found = measure_folders(files, options)
    if folder is not None:
        write_evaluation(found, folder, images=scans, parquet=parquet)
    if tracked is not None and found.rows:
        record_evaluation(found, tracked, folder)
    return found


def _existing(path: Path | str) -> Path:
    """A path that a user gave, or an error before anything is read."""
    if not Path(path).exists():
        raise UsageError("there is no such file or folder", where=path, fix="Check the path.")
    return Path(path)


def _beside(references: Path) -> Path | None:
    """Folder of scans of a dataset the references are in."""
    return next((p for p in (references / "imagesTr", references.parent / "imagesTr") if p.is_dir()), None)
