"""Measures predictions against references, and adds the figures to an MLflow run where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.evaluation import evaluate as measure
from medseg.evaluation.evaluation import Evaluation
from medseg.evaluation.options import EvaluateOptions
from medseg.tracking.evaluation_figures import record_evaluation
from medseg.tracking.runs import OpenRun

__all__ = ["evaluate"]


def evaluate(
    predictions: Path | str,
    references: Path | str,
    out: Path | str | None = None,
    options: EvaluateOptions | None = None,
    *,
    table: Path | None = None,
    by: Sequence[str] = (),
    images: Path | None = None,
    probabilities: Path | None = None,
    parquet: bool = False,
    run: str | None = None,
) -> Evaluation:
    """Measure predictions against references; see `medseg.evaluation.evaluate.evaluate` for what is not said here.

    Parameters
    ----------
    run : str, optional
        Id of the MLflow run to add means, medians and pooled figures to. Without it they go to the run this process has
        open, or ``MLFLOW_RUN_ID`` names; to none where there is neither.

    Raises
    ------
    InputError
        When nothing can be paired, or there is no such run.
    """
    options = options or EvaluateOptions()
    # Before anything is measured: a run that is not there must not cost the measurement.
    tracked = OpenRun.find(run, [Path(place) for place in (predictions, out, Path()) if place])
    found = measure.evaluate(
        predictions,
        references,
        out,
        options,
        table=table,
        by=by,
        images=images,
        probabilities=probabilities,
        parquet=parquet,
    )
    if tracked is not None and found.rows:
        record_evaluation(found, tracked, options, None if out is None else Path(out))
    return found
