"""The preview of a prediction: three planes through it, or a 2D image beside itself, with the labels over the scan."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from PIL import Image, ImageDraw

from medseg.counted import counted
from medseg.draw.orientation import Cut, largest_slice
from medseg.draw.outline import Layer
from medseg.draw.panes import BACKGROUND, INK, Backdrop, font, pane
from medseg.types import Instances, LabelMap, Scan
from medseg.types.extent import UNITS
from medseg.types.run import ClassVolume, Volumes

GAP = 12
LINE = 22
MOST_NAMED = 12  # classes in the legend
FILL = 0.38


def draw_preview(
    scan: Scan,
    labels: LabelMap,
    volumes: Volumes,
    *,
    instances: Instances | None = None,
    size: int = 300,
    mark: str = "",
) -> Image.Image:
    """Draw the axial, coronal and sagittal plane in which the labels are largest; a single slice with and without them.

    Each object of `instances` is outlined, or without them each class; `volumes` are for the legend. Where the
    legend names several classes, the value of each is written on it, so that a print in gray can be read. `size` is the
    width and height in pixels of the square each plane is fitted into. A `mark` of a result that was to be withheld
    stands below.
    """
    labels.geometry.match(scan.geometry, what="labels and scan")
    backdrop = Backdrop.from_scan(scan, scan.geometry)
    orientation = backdrop.orientation
    classes = orientation.order.apply(labels.array)
    layers = _layers(classes, labels, None if instances is None else orientation.order.apply(instances.ids), instances)
    if len(orientation.planes) == 1:  # as wide as three planes
        (plane,), wide = orientation.planes, (3 * size + GAP) // 2
        panes = [pane(backdrop, Cut(plane, 0), shown, wide) for shown in ([], layers)]
    else:
        cuts = [Cut(plane, largest_slice(classes, plane)) for plane in orientation.planes]
        panes = [pane(backdrop, cut, layers, size) for cut in cuts]
    is_numbered = layers[0].numbered
    legend = [
        (c.color, f"{f'{c.value} ' if is_numbered else ''}{c.name}  {_amount(row, in_pixels=orientation.is_2d)}")
        for c, row in zip(labels.table, volumes.rows, strict=True)
    ]
    more = len(legend) - MOST_NAMED
    below = [f"and {more} more classes: see measurements.csv"] if more > 0 else []
    return _compose(panes, legend[:MOST_NAMED], below + ([mark[:1].upper() + mark[1:]] if mark else []))


def first_pane(preview: Image.Image, size: int) -> Image.Image:
    """Cut the first pane out of a preview: the axial plane, or a 2D image without its labels; `size` is its side."""
    side = (preview.width - 4 * GAP) // 3
    # What stands below three panes is whole lines of legend; otherwise there are two panes, as wide together.
    if (preview.height - 3 * GAP - side) % LINE:
        side = (3 * side + GAP) // 2
    return preview.crop((GAP, GAP, GAP + side, GAP + side)).resize((size, size), Image.Resampling.LANCZOS)


def _layers(
    classes: npt.NDArray[Any], labels: LabelMap, ids: npt.NDArray[Any] | None, instances: Instances | None
) -> list[Layer]:
    """A light fill of each class, and an outline of each object, or of each class where there are no objects."""
    is_numbered = 1 < len(labels.table) <= MOST_NAMED
    colors = {entry.value: entry.color for entry in labels.table}
    if ids is None or instances is None:
        return [Layer(classes, colors.__getitem__, FILL, numbered=is_numbered)]
    of_id = {row.id: colors[row.class_value] for row in instances.rows}
    return [Layer(classes, colors.__getitem__, FILL, width=0, numbered=is_numbered), Layer(ids, of_id.__getitem__)]


def _amount(row: ClassVolume, *, in_pixels: bool) -> str:
    size = f"{row.voxels} pixels" if in_pixels else f"{row.size:.2f} {UNITS[row.unit]}"
    return size if row.objects is None else f"{counted(row.objects, 'object')}, {size}"


def _compose(panes: list[Image.Image], legend: list[tuple[tuple[int, int, int], str]], below: list[str]) -> Image.Image:
    """Set the panes side by side over the legend, and lines of text below it."""
    size, per_row = panes[0].width, len(panes)
    named = -(-len(legend) // per_row)
    rows = named + len(below)
    image = Image.new("RGB", (len(panes) * (size + GAP) + GAP, size + 2 * GAP + rows * LINE + GAP), BACKGROUND)
    for number, drawn in enumerate(panes):
        image.paste(drawn, (GAP + number * (size + GAP), GAP))
    draw = ImageDraw.Draw(image)
    for number, (color, text) in enumerate(legend):
        x = GAP + (number % per_row) * (size + GAP)
        y = size + 2 * GAP + (number // per_row) * LINE
        draw.rectangle((x, y + 3, x + 12, y + 15), fill=color)
        draw.text((x + 20, y + 9), text, fill=INK, font=font(13), anchor="lm")
    for number, text in enumerate(below, start=named):
        draw.text((GAP, size + 2 * GAP + number * LINE + 9), text, fill=INK, font=font(13), anchor="lm")
    return image
