"""A small picture of a case: one plane, with the outlines of its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_channels, read_reference
from medseg.draw.page import png_url
from medseg.errors import MedsegError
from medseg.types import Scan
from medseg.types.axis_order import nearest_ras

__all__ = ["case_thumbnail"]

SIZE = 180


def case_thumbnail(data: Dataset, case: DatasetCase) -> str | None:
    """PNG of a case as a data URL, None where its image cannot be read.

    The plane lies across the axis of the largest spacing, where the label is largest or in the middle; seen as
    radiologists do, with the patient's right on the left. Outlines are drawn where the label can be read and lies on
    the image's grid.

    Parameters
    ----------
    data : Dataset
        The case belongs to.
    case : DatasetCase
        What to draw.
    """
    try:
        scan = read_channels(data, case)
    except (MedsegError, OSError):
        return None
    try:
        labels = read_reference(data, case, scan).array
    except (MedsegError, OSError):
        labels = np.zeros(scan.geometry.shape, np.uint8)
    order = nearest_ras(scan.geometry)
    image, mask = order.apply(scan.array)[0], order.apply(labels)
    spacing: tuple[float, float, float] = order.select(scan.geometry.spacing)
    # Of equal spacings the last: axial planes of an isotropic scan.
    across = 2 if image.shape[2] == 1 else max(range(3), key=lambda axis: (round(spacing[axis], 3), axis))
    sums = np.count_nonzero(mask, axis=tuple(axis for axis in range(3) if axis != across))
    place = int(np.argmax(sums)) if sums.any() else image.shape[across] // 2
    plane, outline = np.take(image, place, across).astype(np.float64), np.take(mask, place, across)
    steps = [spacing[axis] for axis in range(3) if axis != across]
    picture = _colors(plane, outline, data)
    if scan.source.format != "picture":
        # From (right, anterior or superior) to rows from the top and columns from the patient's right.
        picture = picture[::-1, ::-1] if across != 0 else picture[:, ::-1]
    return _encode(picture.transpose(1, 0, 2), steps, scan)


def _colors(plane: npt.NDArray[np.float64], labels: npt.NDArray[Any], data: Dataset) -> npt.NDArray[np.uint8]:
    plane = np.nan_to_num(plane, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(plane, (1, 99.5))
    gray = np.clip((plane - low) / max(high - low, 1e-12), 0, 1) * 255
    picture = np.repeat(gray[..., None], 3, axis=2).astype(np.uint8)
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        differs = np.diff(labels, axis=axis) != 0
        before, after = [slice(None)] * 2, [slice(None)] * 2
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        edge[tuple(before)] |= differs
        edge[tuple(after)] |= differs
    for entry in data.table:
        picture[edge & (labels == entry.value)] = entry.color
    return picture


def _encode(picture: npt.NDArray[np.uint8], steps: list[float], scan: Scan) -> str:
    height, width = picture.shape[0] * steps[1], picture.shape[1] * steps[0]
    scale = SIZE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resample = Image.Resampling.NEAREST if max(scan.geometry.shape) < SIZE else Image.Resampling.BILINEAR
    return png_url(Image.fromarray(np.ascontiguousarray(picture)).resize(size, resample))
