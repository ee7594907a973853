"""Draws a reference and a prediction over the scan, in three planes through the place where they differ most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from medseg.draw.orientation import Cut
from medseg.draw.outline import PREDICTION, REFERENCE, Layer
from medseg.draw.panes import BACKGROUND, Backdrop, pane
from medseg.types import LabelMap, Scan

GAP = 8
SMALLEST_VIEW_MM = 40.0
WIDTH = 2


@dataclass(frozen=True, eq=False)
class LabelPair:
    """A reference and a prediction, shape (X, Y, Z), turned to be shown over the same backdrop."""

    reference: npt.NDArray[Any]
    prediction: npt.NDArray[Any]
    backdrop: Backdrop

    @classmethod
    def from_labels(cls, reference: LabelMap, prediction: LabelMap, scan: Scan | None) -> LabelPair:
        """Turn a case's arrays; views, no voxel is resampled."""
        backdrop = Backdrop.from_scan(scan, reference.geometry)
        apply = backdrop.orientation.order.apply
        return cls(apply(reference.array), apply(prediction.array), backdrop)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Of the turned arrays, mm."""
        return self.backdrop.orientation.spacing

    @property
    def is_flat(self) -> bool:
        """Whether there is one slice only."""
        return 1 in self.reference.shape

    def as_masks(self) -> LabelPair:
        """Return it with all classes, or all objects, as one."""
        reference, prediction = ((array != 0).astype(np.uint8) for array in (self.reference, self.prediction))
        return replace(self, reference=reference, prediction=prediction)


def draw_planes(case: LabelPair, place: tuple[int, int, int], *, size: int = 400) -> Image.Image:
    """Draw outlines of both label maps over the scan, zoomed to where labels are, in planes through a voxel.

    The prediction's is dashed.

    `size` is the width and height of a plane in pixels; a single slice is drawn with outlines and without.
    """
    box = _box(case)
    layers = [Layer(case.reference, lambda _: REFERENCE, width=WIDTH)]
    layers += [Layer(case.prediction, lambda _: PREDICTION, width=WIDTH, dashed=True)]
    planes = case.backdrop.orientation.planes
    if case.is_flat:
        size = (3 * size + GAP) // 2
        drawn = [pane(case.backdrop, Cut(planes[0], 0, box), layers, size)]
        drawn += [pane(case.backdrop, Cut(planes[0], 0, box), [], size)] if case.backdrop.image is not None else []
    else:
        drawn = [pane(case.backdrop, Cut(plane, place[plane.axis], box), layers, size) for plane in planes]
    row = Image.new("RGB", (len(drawn) * (size + GAP) - GAP, size), BACKGROUND)
    for number, image in enumerate(drawn):
        row.paste(image, (number * (size + GAP), 0))
    return _cropped(row) if case.is_flat else row


def _cropped(image: Image.Image) -> Image.Image:
    """An image no higher than it needs to be."""
    used = np.flatnonzero((np.asarray(image) != np.array(BACKGROUND)).any(axis=(1, 2)))
    return image.crop((0, int(used[0]), image.width, int(used[-1]) + 1)) if len(used) else image


def _box(case: LabelPair) -> tuple[slice, ...]:
    """Box around all labels with a margin, no smaller than can be recognized."""
    found = ndimage.find_objects(((case.reference > 0) | (case.prediction > 0)).view(np.uint8))
    shape = case.reference.shape
    if not found or found[0] is None:
        return tuple(slice(0, n) for n in shape)
    sides = []
    for inside, length, mm in zip(found[0], shape, case.spacing, strict=True):
        extent = (inside.stop - inside.start) * mm
        margin = max(0.25 * extent, (SMALLEST_VIEW_MM - extent) / 2) / mm
        sides.append(slice(max(0, int(inside.start - margin)), min(length, int(np.ceil(inside.stop + margin)))))
    return tuple(sides)
