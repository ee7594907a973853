"""What in a prediction a radiologist should look at first, found without a reference and without another pass."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from medseg.types import LabelClass, LabelMap, Prediction
from medseg.types.prediction import ClassUncertainty
from medseg.types.quality import ClassQuality, Flag, Quality
from medseg.types.run import Volumes

__all__ = ["check_quality"]

LOOK, LIKELY_WRONG, USELESS = 1.0, 2.0, 4.0
# Limit of the entropy along a border for models whose card has none: only a network that fails reaches it.
GUESS = 0.5


class QualityOptions(BaseModel):
    """What counts as odd."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    main_share: float = Field(default=0.9, ge=0, le=1, description="least share of a class in its largest piece")
    ensemble_dice: float = Field(default=0.8, ge=0, le=1, description="least mean Dice of an ensemble's members")
    boundary_entropy: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="largest mean entropy along a border, 1 never remarks; without it the model's card decides, "
        f"or {GUESS} where that says nothing",
    )


def check_quality(prediction: Prediction, volumes: Volumes, options: QualityOptions | None = None) -> Quality:
    """Measure what needs no reference, and remark on what is odd.

    Absent, of a size the training data never had, cut off by the field of view, in pieces (countable things are not),
    undecided along its border, or seen differently by the members of an ensemble; and everything the scan itself has
    that the training data had not.

    - `prediction`: with the volume ranges of its model's card and what the network left open.
    """
    options = options or QualityOptions()
    labels = prediction.labels
    cut_off = _cut_off(labels)
    rows = tuple(_measured(labels, c, prediction.uncertainty.get(c.value), c.value in cut_off) for c in labels.table)
    of_scan = {text: LIKELY_WRONG if text in prediction.out_of_distribution else LOOK for text in prediction.warnings}
    flags = [Flag(text, weight) for text, weight in of_scan.items()]
    if not any(row.voxels for row in volumes.rows):
        return Quality(rows, (*flags, Flag("nothing was found", USELESS)))
    for entry, volume, row in zip(labels.table, volumes.rows, rows, strict=True):
        name = entry.name
        low, high = prediction.volume_range_ml.get(name, (0.0, np.inf))
        if not volume.voxels and low > 0:
            flags.append(Flag(f"{name}: not found; the training data had {low:.3g} ml at least", LIKELY_WRONG))
        elif not low <= volume.volume_ml <= high:
            what = f"{volume.volume_ml:.3g} ml is outside the training data's {low:.3g} to {high:.3g} ml"
            flags.append(Flag(f"{name}: {what}", LIKELY_WRONG))
        if volume.voxels and not entry.is_thing and row.largest_component_fraction < options.main_share:
            share = f"{row.largest_component_fraction:.0%}"
            flags.append(Flag(f"{name}: in {row.pieces} pieces; the largest holds {share} of it", LOOK))
        if row.ensemble_dice is not None and row.ensemble_dice < options.ensemble_dice:
            flags.append(
                Flag(f"{name}: the ensemble's members disagree (mean Dice {row.ensemble_dice:.2f})", LIKELY_WRONG)
            )
        limit, whose = _boundary_limit(prediction, name, options)
        if row.boundary_entropy is not None and row.boundary_entropy > limit:
            what = f"high uncertainty along the border ({row.boundary_entropy:.2f}, more than {limit:.2f}, {whose})"
            flags.append(Flag(f"{name}: {what}", LOOK))
    if cut_off:
        names = ", ".join(c.name for c in labels.table if c.value in cut_off)
        flags.append(Flag(f"{names}: touches the edge of the field of view and may be cut off", LOOK))
    return Quality(rows, tuple(flags))


def _boundary_limit(prediction: Prediction, name: str, options: QualityOptions) -> tuple[float, str]:
    """Largest entropy along a class's border that is not remarked on, and where that number comes from."""
    if options.boundary_entropy is not None:
        return options.boundary_entropy, "the limit that was set"
    if name in prediction.boundary_limit:
        return prediction.boundary_limit[name], "the limit on the model's card"
    return GUESS, "a general limit, as the model's card has none"


def _measured(
    labels: LabelMap, entry: LabelClass, uncertainty: ClassUncertainty | None, touches_border: bool
) -> ClassQuality:
    pieces, share = _pieces(labels, entry)
    uncertainty = uncertainty or ClassUncertainty()
    return ClassQuality(
        entry.name, uncertainty.boundary_entropy, uncertainty.ensemble_dice, pieces, share, touches_border
    )


def _pieces(labels: LabelMap, entry: LabelClass) -> tuple[int, float]:
    """Connected components of a class, and the share of its voxels in the largest."""
    import cc3d

    mask = labels.array == entry.value
    found = cc3d.connected_components(mask, connectivity=26)
    sizes = np.bincount(found.ravel())
    sizes[0] = 0
    total = int(sizes.sum())
    return len(sizes) - 1, float(sizes.max() / total) if total else 0.0


def _cut_off(labels: LabelMap) -> set[int]:
    """Classes with voxels on a face of the grid; the two faces of a single slice do not count."""
    found: set[int] = set()
    for axis, size in enumerate(labels.array.shape):
        for index in (0, size - 1) if size > 1 else ():
            found |= {int(v) for v in np.unique(np.take(labels.array, index, axis=axis))}
    return found - {0}
