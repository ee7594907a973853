"""Checks a prediction without a reference: what a radiologist should look at first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from medseg.config.strict import Strict
from medseg.infer.expectations import outside_figures
from medseg.infer.gate.refusal import MARK
from medseg.infer.gate.result import refuse_result, withhold_or_mark
from medseg.post.connectivity import neighborhood
from medseg.post.slab_labeling import find_regions
from medseg.types import AnyLabels, LabelClass, OverlappingLabels, Prediction
from medseg.types.extent import UNITS, extent_of
from medseg.types.prediction import ClassUncertainty
from medseg.types.quality import ClassQuality, Flag, Quality
from medseg.types.run import Volumes

LOOK, LIKELY_WRONG, USELESS = 1.0, 2.0, 4.0
# Limit of a boundary's mean entropy for models whose card has none: only a network that fails reaches it.
DEFAULT_ENTROPY = 0.5


class QualityOptions(Strict):
    """When a case gets a warning."""

    largest_component_fraction: float = Field(
        default=0.9, ge=0, le=1, description="least fraction of a class in its largest connected component"
    )
    ensemble_dice: float = Field(default=0.8, ge=0, le=1, description="least mean Dice of the networks of an ensemble")
    boundary_entropy: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="largest mean entropy along a boundary, 1 for no warning; null takes that of the model's card, "
        f"or {DEFAULT_ENTROPY} where it has none",
    )


def check_quality(prediction: Prediction, volumes: Volumes, options: QualityOptions | None = None) -> Quality:
    """Measure what needs no reference, and flag what is unusual.

    A class that is absent, of a size the training data never had, cut off by the field of view, in several components
    (things are not flagged for it), uncertain along its boundary, or on which the networks of an ensemble disagree; and
    everything about the scan itself that was not in the training data.
    """
    options = options or QualityOptions()
    labels = prediction.every_class
    cut_off = _cut_off(labels)
    components = _components(labels)
    rows = tuple(
        _measured(c, components, prediction.uncertainty.get(c.value), c.value in cut_off) for c in labels.table
    )
    of_scan = {text: LIKELY_WRONG if text in prediction.out_of_distribution else LOOK for text in prediction.warnings}
    of_scan |= dict.fromkeys(prediction.expected.overridden if prediction.expected else (), USELESS)
    flags = [Flag(text, weight) for text, weight in of_scan.items()]
    if not any(row.voxels for row in volumes.rows):
        return Quality(rows, (*flags, Flag("Nothing was found.", USELESS)))
    noun, unit = "Volume" if prediction.extent == "volume_ml" else "Area", UNITS[prediction.extent]
    per_ml = extent_of(1, labels.geometry, prediction.extent) / (labels.geometry.voxel_volume / 1000)
    for entry, volume, row in zip(labels.table, volumes.rows, rows, strict=True):
        name = entry.name
        low, high = prediction.volume_range_ml.get(name, (0.0, np.inf))
        if not volume.voxels and low > 0:
            flags.append(
                Flag(
                    f"{name}: Not found; the smallest in the training data is {low * per_ml:.3g} {unit}.", LIKELY_WRONG
                )
            )
        elif not low <= volume.voxels * labels.geometry.voxel_volume / 1000 <= high:
            found, *limits = outside_figures(volume.size, low * per_ml, high * per_ml, digits=3)
            what = f"{noun} {found} {unit}; the training data has {' to '.join(limits)} {unit}."
            flags.append(Flag(f"{name}: {what}", LIKELY_WRONG))
        if volume.voxels and not entry.is_thing and row.largest_component_fraction < options.largest_component_fraction:
            fraction = f"{row.largest_component_fraction:.0%}"
            what = f"{row.n_components} connected components; the largest is {fraction} of the volume."
            flags.append(Flag(f"{name}: {what}", LOOK))
        if row.ensemble_dice is not None and row.ensemble_dice < options.ensemble_dice:
            what = f"The networks of the ensemble disagree (mean Dice {row.ensemble_dice:.2f})."
            flags.append(Flag(f"{name}: {what}", LIKELY_WRONG))
        limit, whose = _boundary_limit(prediction, name, options)
        if row.boundary_entropy is not None and row.boundary_entropy > limit:
            what = f"High boundary uncertainty (mean entropy {row.boundary_entropy:.2f}; {whose} {limit:.2f})."
            flags.append(Flag(f"{name}: {what}", LOOK))
    if cut_off:
        names = ", ".join(c.name for c in labels.table if c.value in cut_off)
        flags.append(Flag(f"{names}: Touches the edge of the field of view and may be cut off.", LOOK))
    return Quality(rows, tuple(flags))


def check_or_withhold(prediction: Prediction, volumes: Volumes, options: QualityOptions | None = None) -> Quality:
    """Check a prediction; a result that no suitable scan has raises `NotForThisModel`, or is marked with `anyway`.

    The checks that need no network were made before; see `medseg.infer.gate`.
    """
    quality = check_quality(prediction, volumes, options)
    marked = withhold_or_mark(refuse_result(prediction, volumes, quality.rows), prediction.expected)
    if marked is None:
        return quality
    return replace(quality, flags=(Flag(marked, USELESS), *quality.flags), mark=MARK)


def _boundary_limit(prediction: Prediction, name: str, options: QualityOptions) -> tuple[float, str]:
    """Largest boundary entropy of a class without a warning, and whose limit that is."""
    if options.boundary_entropy is not None:
        return options.boundary_entropy, "limit set by the user"
    if name in prediction.boundary_limit:
        return prediction.boundary_limit[name], "limit of the model card"
    return DEFAULT_ENTROPY, "default limit"


def _measured(
    entry: LabelClass,
    components: dict[int, tuple[int, float]],
    uncertainty: ClassUncertainty | None,
    touches_border: bool,
) -> ClassQuality:
    count, fraction = components.get(entry.value, (0, 0.0))
    uncertainty = uncertainty or ClassUncertainty()
    return ClassQuality(
        entry.name, uncertainty.boundary_entropy, uncertainty.ensemble_dice, count, fraction, touches_border
    )


def _components(labels: AnyLabels) -> dict[int, tuple[int, float]]:
    """Connected components of each class that has voxels: how many, and the fraction of its voxels in the largest.

    All classes of a label map in one pass: a whole body has over a hundred.
    """
    if isinstance(labels, OverlappingLabels):
        alone = [labels.alone(entry) for entry in labels.table]
        return {value: found for one in alone for value, found in _components(one).items()}
    regions = find_regions(labels.array, connectivity=neighborhood(26, labels.geometry.shape))
    values, of_class = np.unique(regions.class_values, return_inverse=True)
    count, voxels, largest = np.zeros((3, len(values)), np.int64)
    np.add.at(count, of_class, 1)
    np.add.at(voxels, of_class, regions.voxels)
    np.maximum.at(largest, of_class, regions.voxels)
    figures = zip(values.tolist(), count.tolist(), (largest / voxels).tolist(), strict=True)
    return {value: (number, fraction) for value, number, fraction in figures}


def _cut_off(labels: AnyLabels) -> set[int]:
    """Classes with voxels on a face of the grid; the two faces of a single slice do not count."""
    if isinstance(labels, OverlappingLabels):
        return {value for number in _cut_off(labels.as_map()) for value in labels.classes_of[number]}
    found: set[int] = set()
    for axis, size in enumerate(labels.array.shape):
        for index in (0, size - 1) if size > 1 else ():
            # Not `np.take`, which copies the whole array where its axes lie in another order.
            face = np.moveaxis(labels.array, axis, 0)[index]
            found |= set(np.flatnonzero(np.bincount(face.ravel())).tolist())
    return found - {0}
