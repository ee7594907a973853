"""Measures a folder of predictions against a folder of references."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import InputError, MedsegError
from medseg.evaluate.case import CaseResult, find_scores, measure_files
from medseg.evaluate.case_table import read_table
from medseg.evaluate.definitions import definitions_of
from medseg.evaluate.label_files import class_names
from medseg.evaluate.measure import ALL, measure_case
from medseg.evaluate.options import EvaluateOptions
from medseg.evaluate.pairing import CasePair, Pairing, pair_cases
from medseg.evaluate.summary import summarise
from medseg.train.tracking import OpenRun
from medseg.types import Geometry, LabelMap, LabelTable, MeasurementRow, Report

__all__ = ["Evaluation", "evaluate", "tracked_figures"]

log = logging.getLogger("medseg.evaluate")


@dataclass(frozen=True)
class Evaluation(Report):
    """A report, with what the figures were made from.

    Parameters
    ----------
    summary : mapping
        Aggregates over cases, groups and objects: the content of `summary.json`.
    pairing : Pairing
        Which files were compared, and what was left over.
    failed : mapping of str to str
        Cases that could not be measured, and why.
    notes : mapping of str to tuple of str
        What was done to make a case comparable, by case.
    """

    summary: Mapping[str, Any] = field(default_factory=dict)
    pairing: Pairing = field(default_factory=lambda: Pairing(()))
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 all measured, 3 some cases could not be, 4 none could."""
        if not self.rows:
            return 4
        return 3 if self.failed or self.pairing.without_reference else 0


def evaluate(
    predictions: Path | str,
    references: Path | str,
    out: Path | str | None = None,
    options: EvaluateOptions | None = None,
    *,
    table: Path | None = None,
    by: Sequence[str] = (),
    images: Path | None = None,
    scores: Path | None = None,
    parquet: bool = False,
    run: str | None = None,
) -> Evaluation:
    """Measure predictions against references.

    Parameters
    ----------
    predictions, references : Path
        Folders, or two files; see `medseg.evaluate.label_files.find_labels` for the layouts understood.
    out : Path, optional
        Where to leave per_case.csv, summary.json, summary.tex and report.html; nothing is written without it.
    options : EvaluateOptions, optional
        What to measure and how.
    table : Path, optional
        CSV that pairs files, names patients and groups; see `medseg.evaluate.case_table.read_table`.
    by : sequence of str
        Its columns to report by.
    images : Path, optional
        Folder of scans, drawn under the worst cases of the report.
    scores : Path, optional
        Folder of probabilities, for calibration and FROC; those beside the labels are found without it.
    parquet : bool
        Leave per_case.parquet too.
    run : str, optional
        Id of the MLflow run to add means, medians and pooled figures to. Without it they go to the run this process has
        open, or ``MLFLOW_RUN_ID`` names; to none where there is neither.

    Returns
    -------
    Evaluation
        A case that cannot be measured is in `failed` with its reason, and the others are measured.

    Raises
    ------
    InputError
        When nothing can be paired, or there is no such run.
    MissingDependency
        When Parquet is asked for and pyarrow is not installed.
    """
    options = options or EvaluateOptions()
    predictions, references = Path(predictions), Path(references)
    if parquet:
        from medseg.evaluate.tables import require_pyarrow

        require_pyarrow()
    # Before anything is measured: a run that is not there must not cost the measurement.
    tracked = OpenRun.find(run, [place for place in (predictions, out and Path(out), Path()) if place])
    known = None if table is None else read_table(table, by)
    if known is not None and known.left_out:
        log.info("columns that are no groups: %s", ", ".join(known.left_out))
    pairing = pair_cases(predictions, references, known)
    _name_left_over(pairing)
    names = dict(options.classes or class_names(references))
    results: list[CaseResult] = []
    failed = dict(pairing.failed)
    for number, (pair, outcome) in enumerate(_measure_all(pairing.pairs, names, options, scores), start=1):
        if isinstance(outcome, CaseResult):
            results.append(outcome)
            log.debug("[%d/%d] %s: measured", number, len(pairing.pairs), pair.case_id)
        else:
            failed[pair.case_id] = str(outcome)
            log.error("[%d/%d] %s", number, len(pairing.pairs), _naming(pair.case_id, outcome))
    results.sort(key=lambda result: result.case_id)
    rows = _rows(results, options)
    evaluation = Evaluation(
        rows,
        definitions_of(list(dict.fromkeys(row.metric for row in rows))),
        _versions(),
        _summary(rows, results, pairing, failed, options),
        pairing,
        failed,
        {result.case_id: result.notes for result in results if result.notes},
    )
    if out is not None:
        from medseg.evaluate.report import write_evaluation

        write_evaluation(
            evaluation, Path(out), options, names=names, images=_images(images, references), parquet=parquet
        )
    if tracked is not None and evaluation.rows:
        _record(evaluation, tracked, options, None if out is None else Path(out))
    return evaluation


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
    name = name.replace("@", "_at_").replace(":", "_to_")
    return "".join(sign if sign.isalnum() or sign in "_-. /" else "_" for sign in name)


def _record(evaluation: Evaluation, run: OpenRun, options: EvaluateOptions, out: Path | None) -> None:
    """Add the figures to a run; no case is named."""
    cases = {"cases": float(evaluation.summary["cases"]), "cases_failed": float(len(evaluation.failed))}
    run.log({f"evaluation/{name}": value for name, value in {**cases, **tracked_figures(evaluation)}.items()}, step=0)
    run.describe({"evaluation.options": options.model_dump_json(), "evaluation.medseg": _versions()["medseg"]})
    if out is not None:
        run.keep(out / "summary.tex", "evaluation")
    log.info("figures added to the MLflow run %s", run.run_id)


def _measure_all(
    pairs: Sequence[CasePair], names: Mapping[int, str], options: EvaluateOptions, scores: Path | None
) -> Iterator[tuple[CasePair, CaseResult | MedsegError]]:
    """Measure every case; one that cannot be is given back as its error."""
    if options.jobs == 1 or len(pairs) < 2:
        for pair in pairs:
            yield pair, _measure_one(pair, names, options, scores)
        return
    with ProcessPoolExecutor(min(options.jobs, len(pairs)), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(_measure_one, pair, names, options, scores): pair for pair in pairs}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _measure_one(
    pair: CasePair, names: Mapping[int, str], options: EvaluateOptions, scores: Path | None
) -> CaseResult | MedsegError:
    try:
        return measure_files(pair, names, options, find_scores(pair, scores))
    except MedsegError as error:
        return error


def _naming(case_id: str, error: MedsegError) -> str:
    """An error's text with the case's name in front, once."""
    return str(error) if str(error).startswith(case_id) else f"{case_id}: {error}"


def _rows(results: Sequence[CaseResult], options: EvaluateOptions) -> tuple[MeasurementRow, ...]:
    """Long form; a class that occurs in other cases only is there too, as one that both sides agree is absent."""
    classes = dict.fromkeys(name for result in results for name in result.measures.values)
    nothing = LabelMap(np.zeros((1, 1, 1), np.uint8), Geometry(np.eye(4), (1, 1, 1)), LabelTable(()))
    absent = measure_case(nothing, nothing, {"absent": (1,)}, options).values["absent"]
    ordered = sorted(classes, key=lambda name: _place(name, results))
    return tuple(
        MeasurementRow(result.case_id, name, metric, value)
        for result in results
        for name in ordered
        for metric, value in _figures(result, name, absent).items()
    )


def _figures(result: CaseResult, name: str, absent: dict[str, float]) -> dict[str, float]:
    # Calibration stands under "all", which is no class: a case without scores has no such figures.
    return result.measures.values.get(name, {} if name == ALL else absent)


def _place(name: str, results: Sequence[CaseResult]) -> tuple[int, str]:
    """Classes in order of their values, regions and the like after them."""
    values = [entry.value for result in results for entry in result.table if entry.name == name]
    return (min(values) if values else 1 << 16, name)


def _summary(
    rows: Sequence[MeasurementRow],
    results: Sequence[CaseResult],
    pairing: Pairing,
    failed: Mapping[str, str],
    options: EvaluateOptions,
) -> dict[str, Any]:
    return {
        **summarise(rows, results, pairing.pairs, options),
        "failed": dict(failed),
        "predictions_without_reference": list(pairing.without_reference),
        "references_without_prediction": list(pairing.without_prediction),
        "notes": {result.case_id: list(result.notes) for result in results if result.notes},
        "options": options.model_dump(mode="json"),
        "definitions": definitions_of(list(dict.fromkeys(row.metric for row in rows))),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    from medseg.engine.versions import versions

    return {name: version for name, version in versions().items() if name in ("medseg", "python", "numpy", "scipy")}


def _name_left_over(pairing: Pairing) -> None:
    for names, what in (
        (pairing.without_reference, "predictions without a reference, not measured"),
        (pairing.without_prediction, "references without a prediction, not measured"),
    ):
        if names:
            shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
            log.warning("%d %s: %s", len(names), what, shown)
    for case_id, why in pairing.failed.items():
        log.error("%s: %s", case_id, why)


def _images(images: Path | None, references: Path) -> Path | None:
    """Folder of scans: as given, or the ``imagesTr`` of a dataset the references are in."""
    if images is not None:
        if not images.is_dir():
            raise InputError("there is no such folder of scans", where=images)
        return images
    return next((p for p in (references / "imagesTr", references.parent / "imagesTr") if p.is_dir()), None)
