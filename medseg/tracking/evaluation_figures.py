"""The figures of an evaluation as MLflow takes them: flat names, finite numbers, no case."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from medseg.evaluation.evaluation import Evaluation
from medseg.tracking.runs import OpenRun
from medseg.versions import versions

log = logging.getLogger("medseg.evaluate")


def tracked_figures(evaluation: Evaluation) -> dict[str, float]:
    """Flat figures for an experiment tracker: ``dice/mean/liver``, ``pq/pooled/all`` and the like, finite ones only.

    MLflow allows few signs in names: ``nsd@2mm`` becomes ``nsd_at_2mm``.
    """
    figures: dict[str, float] = {}
    for class_name, metrics in evaluation.summary.get("classes", {}).items():
        for metric, node in metrics.items():
            figures |= {f"{metric}/{kind}/{class_name}": node[kind] for kind in ("mean", "median")}
    for class_name, pooled in evaluation.summary.get("pooled", {}).items():
        figures |= {f"{metric}/pooled/{class_name}": float(value) for metric, value in pooled.items()}
    return {_tracked_name(name): value for name, value in figures.items() if np.isfinite(value)}


def _tracked_name(name: str) -> str:
    return name.replace("@", "_at_").replace(":", "_to_")


def record_evaluation(evaluation: Evaluation, run: OpenRun, out: Path | None) -> None:
    """Add the figures to a run; no case is named."""
    cases = {"cases": float(evaluation.summary["cases"]), "cases_failed": float(len(evaluation.failed))}
    run.log({f"evaluation/{name}": value for name, value in {**cases, **tracked_figures(evaluation)}.items()}, step=0)
    run.describe(
        {"evaluation.options": evaluation.options.model_dump_json(), "evaluation.medseg": versions()["medseg"]}
    )
    if out is not None:
        run.keep(out / "summary.tex", "evaluation")
    log.info("The figures are added to the MLflow run %s.", run.run_id)
