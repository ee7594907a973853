"""Builds the summary of an evaluation: the content of `summary.json`."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from medseg.evaluation.aggregate import Aggregate, Bootstrap, aggregate
from medseg.evaluation.case import CaseResult
from medseg.evaluation.files.pairing import CasePair
from medseg.evaluation.metrics.calibration import Reliability
from medseg.evaluation.metrics.detection import average_precision, match
from medseg.evaluation.metrics.froc import froc
from medseg.evaluation.options import EvaluateOptions
from medseg.types import MeasurementRow

Values = dict[tuple[str, str], dict[str, float]]


def by_class_and_metric(rows: Iterable[MeasurementRow]) -> Values:
    """Rows in long form as case id to value for each class and metric, in the order they come."""
    values: Values = defaultdict(dict)
    for row in rows:
        values[row.class_name, row.metric][row.case_id] = row.value
    return dict(values)


def summarize(
    rows: Sequence[MeasurementRow],
    results: Sequence[CaseResult],
    pairs: Sequence[CasePair],
    options: EvaluateOptions,
) -> dict[str, Any]:
    """Aggregate everything measured: over all cases, over each group, and over all objects and voxels pooled.

    patient_of: patient of each case, where a table named one. classes: class, metric, aggregate. groups: column,
    value, then the same. pooled: class to figures over all objects of all cases. froc: class to operating points.
    calibration: reliability diagrams. confusion: voxels by class in reference and prediction. not_annotated: class to
    cases in which it was not measured, as nobody marked it there.
    """
    values = by_class_and_metric(rows)
    patients = {pair.case_id: pair.row.patient for pair in pairs}
    measured = {result.case_id for result in results}
    groups: dict[str, dict[str, Any]] = {}
    for column in sorted({name for pair in pairs for name in pair.row.groups}):
        kinds = sorted({pair.row.groups[column] for pair in pairs if column in pair.row.groups})
        groups[column] = {
            kind: _tree(
                values,
                {p.case_id for p in pairs if p.row.groups.get(column) == kind} & measured,
                patients,
                options,
            )
            for kind in kinds
        }
    return {
        "cases": len(results),
        "patients": len({patients[result.case_id] for result in results}),
        "patient_of": {case: patient for case, patient in patients.items() if patient != case},
        "classes": _tree(values, measured, patients, options),
        "groups": groups,
        "pooled": _pooled(results, options),
        "froc": _froc(results),
        "calibration": _calibration(results),
        "confusion": _confusion(results),
        "not_annotated": not_annotated(results),
    }


def not_annotated(results: Sequence[CaseResult]) -> dict[str, list[str]]:
    """Cases in which each class or region was not measured, as their references do not annotate it."""
    names = dict.fromkeys(name for result in results for name in sorted(result.not_annotated))
    return {name: [result.case_id for result in results if name in result.not_annotated] for name in names}


def as_json(content: Any) -> Any:
    """Return content that JSON can hold: NaN as null, infinities as the strings ``"inf"`` and ``"-inf"``."""
    if isinstance(content, Mapping):
        return {str(key): as_json(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [as_json(value) for value in content]
    if isinstance(content, np.generic):
        return as_json(content.item())
    if isinstance(content, float) and not math.isfinite(content):
        return None if math.isnan(content) else str(content)
    return content


def _tree(
    values: Values, cases: set[str], patients: Mapping[str, str], options: EvaluateOptions
) -> dict[str, dict[str, Any]]:
    chosen = {key: {case: value for case, value in figures.items() if case in cases} for key, figures in values.items()}
    found = aggregate(
        {key: figures for key, figures in chosen.items() if figures},
        Bootstrap(patients, options.n_bootstrap, options.seed),
        penalty=options.penalty_mm,
        worst=options.worst,
    )
    tree: dict[str, dict[str, Any]] = defaultdict(dict)
    for (class_name, metric), figures in found.items():
        tree[class_name][metric] = aggregate_node(figures)
    return dict(tree)


def aggregate_node(figures: Aggregate) -> dict[str, Any]:
    """Return an aggregate as `summary.json` holds it."""
    node = asdict(figures)
    node["ci95"] = list(node.pop("interval"))
    node["worst"] = [{"case_id": case, "value": value} for case, value in figures.worst]
    return node


def _pooled(results: Sequence[CaseResult], options: EvaluateOptions) -> dict[str, dict[str, float]]:
    """Counts over all objects of all cases, as published tables of nuclei and cells have them."""
    pooled: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name for result in results for name in result.measures.overlaps):
        every = [r.measures.overlaps[name] for r in results if name in r.measures.overlaps]
        n = sum(len(o.reference_sizes) for o in every)
        m = sum(len(o.prediction_sizes) for o in every)
        matched = [match(o, 0.5) for o in every]
        quality = float(sum(o.iou[chosen].sum() for o, chosen in zip(every, matched, strict=True)))
        found = sum(map(len, matched))
        figures: dict[str, float] = {"objects_reference": n, "objects_prediction": m, "objects_matched": found}
        figures["pq"] = 2 * quality / (n + m) if n + m else math.nan
        figures["sq"] = quality / found if found else math.nan
        figures["rq"] = 2 * found / (n + m) if n + m else math.nan
        for threshold in options.object_iou:
            hits = sum(len(match(o, threshold)) for o in every)
            figures[f"f1@{threshold:g}"] = 2 * hits / (n + m) if n + m else math.nan
            figures[f"ap@{threshold:g}"] = average_precision(hits, n, m)
        pooled[name] = figures
    return pooled


def _froc(results: Sequence[CaseResult]) -> dict[str, Any]:
    curves: dict[str, Any] = {}
    for name in dict.fromkeys(name for result in results for name in result.measures.candidates):
        curve = froc([r.measures.candidates[name] for r in results if name in r.measures.candidates])
        if curve is not None:
            curves[name] = {
                "sensitivity_at_false_positives_per_case": {f"{rate:g}": s for rate, s in curve.at_rates.items()},
                "mean_sensitivity": curve.mean,
                "false_positives_per_case": curve.false_positives.tolist(),
                "sensitivity": curve.sensitivity.tolist(),
            }
    return curves


def _calibration(results: Sequence[CaseResult]) -> dict[str, Any]:
    known = [result.measures.calibration for result in results if result.measures.calibration is not None]
    pooled: dict[str, Any] = {}
    for name, which in (("all", 0), ("foreground", 1)) if known else ():
        total: Reliability = known[0][which]
        for pair in known[1:]:
            total = total + pair[which]
        voxels = np.maximum(total.counts, 1)
        pooled[name] = {
            "ece": total.ece,
            "voxels": total.counts.tolist(),
            "confidence": np.where(total.counts > 0, total.confidence / voxels, np.nan).tolist(),
            "accuracy": np.where(total.counts > 0, total.correct / voxels, np.nan).tolist(),
        }
    return pooled


def _confusion(results: Sequence[CaseResult]) -> dict[str, Any]:
    """Voxels by class name, over all cases."""
    counts: Counter[tuple[str, str]] = Counter()
    order: dict[str, int] = {"background": 0}
    for result in results:
        found = result.measures.confusion
        names = ["background" if value == 0 else result.table.name_of(value) for value in found.values]
        order.update({name: value for name, value in zip(names, found.values, strict=True) if name not in order})
        for i, row in enumerate(names):
            for j, column in enumerate(names):
                counts[row, column] += int(found.counts[i, j])
    names = sorted(order, key=lambda name: (order[name], name))
    return {"classes": names, "voxels": [[counts[row, column] for column in names] for row in names]}
