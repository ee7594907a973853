"""Measures a folder of predictions against a folder of references."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medseg.counted import counted
from medseg.errors import InputError, MedsegError, UsageError, with_code
from medseg.evaluation.case import CaseResult, find_probabilities, measure_files
from medseg.evaluation.evaluation import Evaluation
from medseg.evaluation.files.case_table import read_table
from medseg.evaluation.files.label_files import class_names
from medseg.evaluation.files.object_ids import look_like_objects
from medseg.evaluation.files.pairing import CasePair, Pairing, pair_cases
from medseg.evaluation.files.reference_dataset import reference_dataset
from medseg.evaluation.files.trained_cases import batch_folder, with_training
from medseg.evaluation.metrics.definitions import definitions_of
from medseg.evaluation.metrics.measure import ALL, measure_case
from medseg.evaluation.options import EvaluateOptions
from medseg.evaluation.summary import not_annotated, summarize
from medseg.isolation.boundary import attempt
from medseg.isolation.each import each_isolated
from medseg.models.card_summary import summaries_in
from medseg.types import Geometry, LabelMap, LabelTable, MeasurementRow

log = logging.getLogger("medseg.evaluate")


@dataclass(frozen=True)
class EvaluationFiles:
    """What is measured against what.

    Parameters
    ----------
    predictions, references : Path
        Folders, or two files; see `medseg.evaluation.files.label_files.find_labels` for the layouts understood.
    table : Path, optional
        CSV that pairs files, names patients and groups; see `medseg.evaluation.files.case_table.read_table`.
    group_by : tuple of str
        Its columns to report by.
    probabilities : Path, optional
        Folder of probabilities, for calibration and FROC; those beside the labels are found without it.
    """

    predictions: Path
    references: Path
    table: Path | None = None
    group_by: tuple[str, ...] = ()
    probabilities: Path | None = None


def measure_folders(files: EvaluationFiles, options: EvaluateOptions) -> Evaluation:
    """Measure every pair of files; a case that cannot be is in `failed` with its reason, and the others are measured.

    Raises
    ------
    InputError
        When nothing can be paired.
    """
    if files.group_by and files.table is None:
        raise UsageError(
            "there is no table whose column this could be",
            where=f"--group-by {files.group_by[0]}",
            fix="Add --table, a CSV file with this column.",
        )
    known = None if files.table is None else read_table(files.table, files.group_by)
    if known is not None and known.skipped:
        log.info("These columns of the table are not used: %s.", ", ".join(known.skipped))
    dataset = reference_dataset(files.references)
    pairing = pair_cases(files.predictions, files.references, known, keep_names=options.keep_names, dataset=dataset)
    _log_unpaired(pairing)
    pairing = replace(pairing, pairs=with_training(pairing.pairs, files.predictions))
    described = dataset.names if dataset is not None else _described(files.references, options)
    _check_values(options, described)
    names = dict(options.classes or described)
    results: list[CaseResult] = []
    failed = dict(pairing.failed)
    outcomes = _measure_all(pairing.pairs, names, options, files.probabilities)
    for number, (pair, outcome) in enumerate(outcomes, start=1):
        if isinstance(outcome, CaseResult):
            results.append(outcome)
            log.debug("[%d/%d] %s: measured", number, len(pairing.pairs), pair.case_id)
        else:
            failed[pair.case_id] = str(outcome)
            line = with_code(_with_case(pair.case_id, outcome), outcome.code)
            log.error("[%d/%d] %s", number, len(pairing.pairs), line)
    results.sort(key=lambda result: result.case_id)
    if look_like_objects([result.numbered for result in results]):
        results = _with_note_on_objects(results)
    rows = _rows(results, options)
    for name, cases in not_annotated(results).items():
        log.info("%s is not measured in %s, whose references do not annotate it.", name, counted(len(cases), "case"))
    warnings = _absent(options, results)
    for warning in warnings:
        log.warning("%s", warning)
    return Evaluation(
        rows,
        definitions_of(list(dict.fromkeys(row.metric for row in rows))),
        _versions(),
        _summary(rows, results, pairing, failed, options) | {"warnings": list(warnings)},
        pairing,
        failed,
        {result.case_id: result.notes for result in results if result.notes},
        options,
        names,
        warnings,
        summaries_in(batch_folder(files.predictions)),
    )


def _described(references: Path, options: EvaluateOptions) -> dict[int, str]:
    """Classes that the dataset of the references says it has; not needed where the options name the classes."""
    try:
        return class_names(references)
    except InputError:
        if options.classes is None:
            raise
        return {}


def _requested(options: EvaluateOptions) -> list[tuple[str, int]]:
    """Every class value that the options name, with the words of the option."""
    named = [(f"--class {value}={name}", value) for value, name in (options.classes or {}).items()]
    return named + [(f"--region {name}", value) for name, values in options.regions.items() for value in values]


def _check_values(options: EvaluateOptions, table: Mapping[int, str]) -> None:
    """Refuse values that the dataset of the references has no class for, where it says which it has."""
    for option, value in _requested(options):
        if table and value not in table:
            known = ", ".join(f"{number} ({name})" for number, name in table.items())
            raise UsageError(
                f"the dataset has no class of the value {value}", where=option, fix=f"Use some of {known}."
            )


def _absent(options: EvaluateOptions, results: Sequence[CaseResult]) -> tuple[str, ...]:
    """A sentence for each value that the options name and no file holds; ids of objects are no classes."""
    if options.objects == "instances" or not results:
        return ()
    present = {value for result in results for value in result.present}
    return tuple(
        f"{option}: none of the {len(results)} measured cases holds the value {value}, in reference or prediction."
        for option, value in _requested(options)
        if value not in present
    )


def _with_note_on_objects(results: Sequence[CaseResult]) -> list[CaseResult]:
    """Say of cases whose values look like ids of objects what was measured of them."""
    cases = [result.case_id for result in results if result.numbered]
    log.warning(
        "The values of %s, such as %s, look like ids of objects, and were measured as classes: objects of equal "
        "number were compared, wherever they lie. Use --objects instances.",
        counted(len(cases), "case"),
        cases[0],
    )
    note = "{} values look like ids of objects and were measured as classes; --objects instances matches objects"
    return [
        replace(result, notes=(*result.notes, note.format(len(result.numbered)))) if result.numbered else result
        for result in results
    ]


def _measure_all(
    pairs: Sequence[CasePair], names: Mapping[int, str], options: EvaluateOptions, probabilities: Path | None
) -> Iterator[tuple[CasePair, CaseResult | MedsegError]]:
    """Measure every case; one that cannot be is given back as its error."""
    measure = partial(_measure_one, names=names, options=options, probabilities=probabilities)
    if len(pairs) == 1:
        yield pairs[0], attempt(measure, pairs[0])
    else:
        yield from each_isolated(measure, pairs, jobs=options.jobs)


def _measure_one(
    pair: CasePair, *, names: Mapping[int, str], options: EvaluateOptions, probabilities: Path | None
) -> CaseResult:
    return measure_files(pair, names, options, find_probabilities(pair, probabilities))


def _with_case(case_id: str, error: MedsegError) -> str:
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
        if name not in result.not_annotated
        for metric, value in _figures(result, name, absent).items()
    )


def _figures(result: CaseResult, name: str, absent: dict[str, float]) -> dict[str, float]:
    # Calibration stands under "all", which is no class: a case without probabilities has no such figures.
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
        **summarize(rows, results, pairing.pairs, options),
        "failed": dict(failed),
        "predictions_without_reference": list(pairing.without_reference),
        "references_without_prediction": list(pairing.without_prediction),
        "notes": {result.case_id: list(result.notes) for result in results if result.notes},
        "options": options.model_dump(mode="json"),
        "definitions": definitions_of(list(dict.fromkeys(row.metric for row in rows))),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    from medseg.versions import versions

    return {name: version for name, version in versions().items() if name in ("medseg", "python", "numpy", "scipy")}


def _log_unpaired(pairing: Pairing) -> None:
    for names, one, other in (
        (pairing.without_reference, "prediction", "reference"),
        (pairing.without_prediction, "reference", "prediction"),
    ):
        if names:
            what = counted(len(names), f"{one} has", f"{one}s have")
            log.warning(
                "%s no %s and %s not measured: %s", what, other, "is" if len(names) == 1 else "are", _first(names)
            )
    if names := pairing.not_in_table:
        what = counted(len(names), "measured case is", "measured cases are")
        log.warning("%s not in the table and taken for a patient each, in no group: %s", what, _first(names))
    for case_id, why in pairing.failed.items():
        log.error("%s: %s", case_id, why)


def _first(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
