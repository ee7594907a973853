"""Measures one case: every class and region of a prediction against its reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.evaluation.metrics.boundary import boundary_iou
from medseg.evaluation.metrics.calibration import Reliability, calibration_measures, reliability
from medseg.evaluation.metrics.centerline import cldice
from medseg.evaluation.metrics.detection import Overlaps, components, count_overlaps, detection_measures
from medseg.evaluation.metrics.froc import Candidates, candidates, object_probabilities
from medseg.evaluation.metrics.lesions import lesion_measures, matched_lesion_measures
from medseg.evaluation.metrics.nearest import Indices, Steps
from medseg.evaluation.metrics.overlap import Confusion, confusion, overlap_measures
from medseg.evaluation.metrics.partition import membrane_measures, partition_measures
from medseg.evaluation.metrics.surface import surface_distances, surface_measures
from medseg.evaluation.metrics.surface_voxels import border_voxels
from medseg.evaluation.options import EvaluateOptions, LesionRule
from medseg.types import LabelMap

ALL = "all"
NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class CaseMeasures:
    """Everything measured of one case."""

    values: dict[str, dict[str, float]]  # by class or region name, then metric
    confusion: Confusion
    overlaps: dict[str, Overlaps] = field(default_factory=dict)  # objects by class name
    candidates: dict[str, Candidates] = field(default_factory=dict)  # by class name; empty without probabilities
    calibration: tuple[Reliability, Reliability] | None = None  # all voxels, and foreground


@dataclass(frozen=True, eq=False)
class _Pair:
    """The two arrays with the slowest axis first, so that one pass over them is one pass over memory."""

    reference: npt.NDArray[Any]
    prediction: npt.NDArray[Any]
    axes: tuple[int, ...]
    steps: Steps
    voxel_volume: float

    @property
    def shape(self) -> tuple[int, int, int]:
        x, y, z = self.reference.shape
        return x, y, z


def measure_case(
    reference: LabelMap,
    prediction: LabelMap,
    classes: Mapping[str, tuple[int, ...]],
    options: EvaluateOptions | None = None,
    probabilities: npt.NDArray[Any] | None = None,
) -> CaseMeasures:
    """Measure every class of a prediction.

    `classes` names the values that make up each class or region; `probabilities` have the shape (n, X, Y, Z), one for
    each value 0, 1, ... n-1.
    """
    options = options or EvaluateOptions()
    prediction.geometry.match(reference.geometry, what="prediction and reference")
    pair = _pair(reference, prediction)
    counts = confusion(pair.reference, pair.prediction)
    values: dict[str, dict[str, float]] = {}
    overlaps: dict[str, Overlaps] = {}
    found: dict[str, Candidates] = {}
    for name, borders in _borders(pair, classes):
        class_values = classes[name]
        values[name] = overlap_measures(*counts.for_values(class_values), pair.voxel_volume)
        if options.surfaces:
            values[name] |= _surface(pair, class_values, borders, options)
        box = _box(borders, pair.shape)
        if options.centerlines:
            values[name]["cldice"] = cldice(
                *(_mask(side[box], class_values) for side in (pair.reference, pair.prediction))
            )
        if options.membranes:
            values[name] |= membrane_measures(
                *(_mask(side, class_values) for side in (pair.reference, pair.prediction))
            )
        if options.objects == "components":
            masks = (_mask(pair.reference[box], class_values), _mask(pair.prediction[box], class_values))
            ids = (components(masks[0], options.neighbors), components(masks[1], options.neighbors))
            overlaps[name] = count_overlaps(*ids)
            values[name] |= detection_measures(overlaps[name], options.object_iou)
            values[name] |= _lesions(*masks, pair.voxel_volume, options.lesions)
            if probabilities is not None:
                of_class = sum(probabilities[value].transpose(pair.axes)[box] for value in class_values)
                of_objects = object_probabilities(ids[1], of_class, len(overlaps[name].prediction_sizes))
                found[name] = candidates(overlaps[name], of_objects, options.froc_iou)
    calibration = None
    if probabilities is not None:
        calibration = reliability(probabilities, reference.array)
        values.setdefault(ALL, {}).update(calibration_measures(*calibration))
    return CaseMeasures(
        {name: values[name] for name in [*classes, ALL] if name in values}, counts, overlaps, found, calibration
    )


def measure_instances(
    reference: LabelMap, prediction: LabelMap, options: EvaluateOptions | None = None
) -> CaseMeasures:
    """Measure two maps whose values are ids of objects, all of one class.

    Objects are matched by id map; overlap and surface measures are of the union of all objects.
    """
    options = options or EvaluateOptions()
    prediction.geometry.match(reference.geometry, what="prediction and reference")
    overlaps = count_overlaps(reference.array, prediction.array)
    masks = [LabelMap((m.array != 0).astype(np.uint8), m.geometry, m.table) for m in (reference, prediction)]
    of_union = options.model_copy(update={"objects": "none", "membranes": False})
    measured = measure_case(masks[0], masks[1], {ALL: (1,)}, of_union)
    measured.values[ALL].update(detection_measures(overlaps, options.object_iou) | partition_measures(overlaps))
    return CaseMeasures(measured.values, measured.confusion, {ALL: overlaps})


def _lesions(
    reference: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_], voxel_volume: float, rule: LesionRule
) -> dict[str, float]:
    if rule.rule == "matched":
        return matched_lesion_measures(reference, prediction)
    return lesion_measures(reference, prediction, voxel_volume, dilation=rule.dilation, minimum_mm3=rule.minimum_mm3)


def _pair(reference: LabelMap, prediction: LabelMap) -> _Pair:
    strides = np.abs(reference.array.strides)
    axes = tuple(int(axis) for axis in np.argsort(-strides, kind="stable"))
    affine = np.array(reference.geometry.affine)
    return _Pair(
        reference.array.transpose(axes),
        prediction.array.transpose(axes),
        axes,
        Steps.between_voxels(affine[:, [*axes, 3]]),
        reference.geometry.voxel_volume,
    )


def _borders(pair: _Pair, classes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[Indices, Indices]]]:
    """Border voxels by class name; single classes share one pass, each region needs its own."""
    alone = {name: class_values[0] for name, class_values in classes.items() if len(class_values) == 1}
    if alone:
        every = border_voxels(pair.reference), border_voxels(pair.prediction)
        for name, value in alone.items():
            yield name, (every[0].get(value, NOTHING), every[1].get(value, NOTHING))
    for name, class_values in classes.items():
        if name not in alone:
            lookup = _lookup(class_values)
            yield (
                name,
                (
                    border_voxels(pair.reference, lookup).get(1, NOTHING),
                    border_voxels(pair.prediction, lookup).get(1, NOTHING),
                ),
            )


def _surface(
    pair: _Pair, class_values: tuple[int, ...], borders: tuple[Indices, Indices], options: EvaluateOptions
) -> dict[str, float]:
    distances = surface_distances(*borders, pair.shape, pair.steps)
    measures = surface_measures(distances, options.tolerances_mm)
    measures["boundary_iou"] = boundary_iou(
        (pair.reference, pair.prediction), _lookup(class_values), borders, pair.steps, options.boundary_width_mm
    )
    return measures


def _lookup(class_values: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(65536, bool)
    chosen[list(class_values)] = True
    return chosen


def _mask(labels: npt.NDArray[Any], class_values: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    if len(class_values) == 1:
        alone: npt.NDArray[np.bool_] = labels == class_values[0]
        return alone
    merged: npt.NDArray[np.bool_] = _lookup(class_values)[labels]
    return merged


def _box(borders: tuple[Indices, Indices], shape: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    """Smallest box that holds all of both; a single voxel where both are empty."""
    x, y, z = np.unravel_index(np.concatenate(borders), shape)
    if not len(x):
        return slice(0, 1), slice(0, 1), slice(0, 1)
    return (
        slice(int(x.min()), int(x.max()) + 1),
        slice(int(y.min()), int(y.max()) + 1),
        slice(int(z.min()), int(z.max()) + 1),
    )
