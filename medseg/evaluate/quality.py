"""What in a prediction a radiologist should look at first, found without a reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from medseg.engine.stage import RunContext
from medseg.types import LabelClass, LabelMap, Prediction
from medseg.types.run import PredictedVolumes, Volumes

__all__ = ["CheckQuality", "QualityNotes", "quality_notes"]


@dataclass(frozen=True)
class QualityNotes:
    """Remarks on a prediction, none where nothing is odd."""

    notes: tuple[str, ...]


def quality_notes(prediction: Prediction, volumes: Volumes, *, main_share: float = 0.9) -> tuple[str, ...]:
    """Remark on classes that are absent, cut off, in pieces, or of a size the training data never had.

    Parameters
    ----------
    prediction : Prediction
        With the volume ranges of its model's card.
    volumes : Volumes
        Of the same labels.
    main_share : float
        A class whose largest piece holds less than this share of its voxels is remarked on; classes of countable
        things are not.

    Returns
    -------
    tuple of str
        In the order of the label table.
    """
    notes: list[str] = []
    labels = prediction.labels
    if not any(row.voxels for row in volumes.rows):
        return ("nothing was found",)
    for entry, row in zip(labels.table, volumes.rows, strict=True):
        low, high = prediction.volume_range_ml.get(entry.name, (0.0, np.inf))
        if not low <= row.millilitres <= high:
            what = f"{entry.name}: {row.millilitres:.3g} ml is outside the training data's {low:.3g} to {high:.3g} ml"
            notes.append(
                what if row.voxels else f"{entry.name}: not found; the training data had {low:.3g} ml at least"
            )
        if row.voxels and not entry.is_thing:
            share = _largest_share(labels, entry)
            if share < main_share:
                notes.append(f"{entry.name}: in pieces; the largest holds {share:.0%} of it")
    if cut := _cut_off(labels):
        notes.append(f"{', '.join(cut)}: touches the edge of the field of view and may be cut off")
    return tuple(notes)


def _largest_share(labels: LabelMap, entry: LabelClass) -> float:
    """Share of a class's voxels in its largest connected component."""
    import cc3d

    mask = labels.array == entry.value
    sizes = np.bincount(cc3d.connected_components(mask, connectivity=26).ravel())
    sizes[0] = 0
    return float(sizes.max() / sizes.sum())


def _cut_off(labels: LabelMap) -> list[str]:
    """Names of the classes with voxels on a face of the grid; the two faces of a single slice do not count."""
    found: set[int] = set()
    for axis, size in enumerate(labels.array.shape):
        for index in (0, size - 1) if size > 1 else ():
            found |= {int(v) for v in np.unique(np.take(labels.array, index, axis=axis))}
    return [c.name for c in labels.table if c.value in found]


class CheckQuality:
    """Stage that remarks on what should be looked at first."""

    class Options(BaseModel):
        """What counts as odd."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        main_share: float = Field(default=0.9, ge=0, le=1, description="least share of a class in its largest piece")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: PredictedVolumes, context: RunContext) -> QualityNotes:
        """Look at the labels."""
        return QualityNotes(quality_notes(item.prediction, item.volumes, main_share=self.options.main_share))
