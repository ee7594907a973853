"""A small image of a scan: one plane as it was acquired, with the outlines of its classes."""

from __future__ import annotations

import numpy as np
from PIL import Image

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_channels, read_reference
from medseg.draw.orientation import Cut, largest_slice
from medseg.draw.outline import Layer
from medseg.draw.page import png_url
from medseg.draw.panes import Backdrop, plane_image
from medseg.errors import MedsegError
from medseg.types import Geometry, LabelMap, Scan

SIZE = 180
FINEST = 4  # voxels for each pixel drawn


def thumbnail(scan: Scan, size: int, labels: LabelMap | None = None) -> Image.Image:
    """Draw the plane the scan was acquired in, where labels are largest or in the middle; `size` is the longer side."""
    scan, labels = _thinned(scan, labels, size)
    backdrop = Backdrop.from_scan(scan, scan.geometry)
    plane = backdrop.orientation.acquired
    if labels is None:
        return plane_image(backdrop, Cut(plane, backdrop.orientation.shape[plane.axis] // 2), [], size)
    values = backdrop.orientation.order.apply(labels.array)
    colors = {entry.value: entry.color for entry in labels.table}
    layer = Layer(values, lambda value: colors.get(value, (255, 255, 255)))
    return plane_image(backdrop, Cut(plane, largest_slice(values, plane)), [layer], size)


def _thinned(scan: Scan, labels: LabelMap | None, size: int) -> tuple[Scan, LabelMap | None]:
    """Every n-th voxel along axes that have several times more than are drawn: drawing takes memory by the voxel."""
    steps = [max(1, n // (FINEST * size)) for n in scan.geometry.shape]
    if max(steps) == 1:
        return scan, labels
    every = tuple(slice(None, None, step) for step in steps)
    array = scan.array[(slice(None), *every)]
    shape = (array.shape[1], array.shape[2], array.shape[3])
    geometry = Geometry(scan.geometry.affine @ np.diag([*steps, 1]), shape)
    thin = None if labels is None else LabelMap(labels.array[every], geometry, labels.table)
    return Scan(array, geometry, scan.modality, scan.source), thin


def case_thumbnail(data: Dataset, case: DatasetCase) -> str | None:
    """PNG of a case as a data URL, None where its image cannot be read; outlines where its label can be."""
    try:
        scan = read_channels(data, case)
    except (MedsegError, OSError):
        return None
    try:
        labels = LabelMap(read_reference(data, case, scan).array, scan.geometry, data.table)
    except (MedsegError, OSError):
        labels = LabelMap(np.zeros(scan.geometry.shape, np.uint8), scan.geometry, data.table)
    return png_url(thumbnail(scan, SIZE, labels))
