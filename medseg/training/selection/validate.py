"""Measures a package on cases it was not trained on, by the path that users take."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_case
from medseg.harmless import TableWriter
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.files.atomic import write_text
from medseg.io.files.patient_names import public_name
from medseg.models.package import ModelPackage
from medseg.training.selection.comparable import comparable
from medseg.training.selection.held_out_volumes import Volumes, class_volumes, panoptic_quality, refine
from medseg.training.selection.uncertainty_limit import boundary_entropy
from medseg.types import LabelMap, Prediction, Scan

log = logging.getLogger("medseg.train")

Watcher = Callable[[str, dict[str, float], Scan, LabelMap, LabelMap], None]


@dataclass(frozen=True)
class CaseDice:
    """Dice of each class in one case, entropy along its boundary, and volumes in ml: the reference's and the measured.

    Dice is NaN where the class is neither present nor predicted, and where the reference does not annotate it. `pq` is
    the panoptic quality of the class whose objects the reference numbers, NaN where neither side has one.
    """

    case_id: str
    dice: dict[str, float]
    boundary_entropy: Mapping[str, float] = field(default_factory=dict)
    volumes: Volumes = field(default_factory=dict)
    pq: Mapping[str, float] = field(default_factory=dict)


def validate(
    package: ModelPackage,
    data: Dataset,
    cases: Sequence[DatasetCase],
    *,
    device: str,
    watch: Sequence[Watcher] = (),
) -> Iterator[CaseDice]:
    """Segment each case as `predict` does and compare with its reference on the scan's own grid.

    `watch` is called with every case: id, Dice by class, scan, reference and prediction.
    """
    segment = _segmenter(package, InferOptions(device=device, engine="torch"))
    for case in cases:
        scan, reference = read_case(data, case)
        prediction = segment(scan)
        pair = comparable(data, prediction, reference)
        predicted, truth = pair.prediction.array, pair.reference.array
        if pair.ignore is not None:
            counted = truth != pair.ignore
            predicted, truth = predicted[counted], truth[counted]
        result = {}
        for entry in package.card.table:
            values = pair.values_of[entry.value]
            # A class that the reference does not annotate may be there all the same.
            known = case.annotates(data.table.name_of(entry.value))
            result[entry.name] = dice(np.isin(predicted, values), np.isin(truth, values)) if known else math.nan
        log.debug("%s: %s", public_name(case.case_id), result)
        for add in watch:
            add(case.case_id, result, scan, pair.reference, pair.prediction)
        refined = refine(prediction.every_class, package.card)
        volumes = class_volumes(refined, reference, package.card, data, case)
        quality = panoptic_quality(refined, data, case, scan, package.card)
        yield CaseDice(case.case_id, result, boundary_entropy(prediction, package.card), volumes, quality)


def _segmenter(package: ModelPackage, options: InferOptions) -> Callable[[Scan], Prediction]:
    if not package.parts:
        return Predictor(package, options).segment
    from medseg.combine.predictor import CompositePredictor  # and with it SimpleITK, which most trainings never need

    composite = CompositePredictor(package, options)
    return lambda scan: composite.segment(scan, anyway=True)  # a reference is there, so it is a case for its parts


def dice(prediction: npt.NDArray[Any], reference: npt.NDArray[Any]) -> float:
    """Twice the overlap over the sum of sizes of two masks (Dice 1945); NaN where both are empty."""
    size = int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))
    return 2 * int(np.count_nonzero(prediction & reference)) / size if size else float("nan")


def mean_dice(results: Sequence[CaseDice]) -> tuple[dict[str, float], float]:
    """Mean over cases of each class, and the mean of those; NaN is skipped."""
    by_class = {name: _mean([r.dice[name] for r in results]) for name in results[0].dice}
    return by_class, _mean(list(by_class.values()))


def mean_pq(results: Sequence[CaseDice]) -> dict[str, float]:
    """Mean panoptic quality over cases of each class whose objects references number; NaN is skipped."""
    names = dict.fromkeys(name for result in results for name in result.pq)
    means = {name: _mean([r.pq[name] for r in results if name in r.pq]) for name in names}
    return {name: round(value, 4) for name, value in means.items() if not math.isnan(value)}


def write_validation(path: Path, results: Sequence[CaseDice]) -> None:
    """Write one row for each case and class: case_id, class, metric, value."""
    text = io.StringIO()
    writer = TableWriter(text)
    writer.writerow(["case_id", "class", "metric", "value"])
    for result in results:
        for metric, values in (("dice", result.dice), ("pq", result.pq)):
            writer.writerows([result.case_id, name, metric, f"{value:.6f}"] for name, value in values.items())
    write_text(path, text.getvalue())


def _mean(values: Sequence[float]) -> float:
    kept = [v for v in values if not math.isnan(v)]
    return sum(kept) / len(kept) if kept else float("nan")
