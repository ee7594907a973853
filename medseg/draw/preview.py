"""The picture of a prediction: three planes through it, or a picture beside itself, with the labels over the scan."""

from __future__ import annotations

from PIL import Image, ImageDraw

from medseg.draw.panes import BACKGROUND, INK, font, pane, shown
from medseg.types import Instances, LabelMap, Scan
from medseg.types.run import ClassVolume, Volumes

__all__ = ["draw_preview"]

GAP = 12
LINE = 22


def draw_preview(
    scan: Scan, labels: LabelMap, volumes: Volumes, *, instances: Instances | None = None, size: int = 300
) -> Image.Image:
    """Draw the axial, coronal and sagittal plane in which the labels are largest; a single slice with and without them.

    Parameters
    ----------
    scan : Scan
        Its first channel is shown, or a picture's colors, between the 1st and 99.5th percentile, or in a soft-tissue
        window for CT.
    labels : LabelMap
        On the scan's grid.
    volumes : Volumes
        For the legend.
    instances : Instances, optional
        Objects on the same grid, each outlined; without them classes are.
    size : int
        Width and height in pixels of the square each plane is fitted into.

    Returns
    -------
    Image
        RGB.

    Raises
    ------
    GeometryMismatch
        When labels and scan are not on the same grid.
    """
    labels.geometry.match(scan.geometry, what="labels and scan")
    case = shown(scan, labels, instances)
    if len(case.planes) == 1:  # as wide as three planes
        wide = (3 * size + GAP) // 2
        panes = [pane(case, case.planes[0], labels.table, wide, overlay=overlay) for overlay in (False, True)]
    else:
        panes = [pane(case, plane, labels.table, size) for plane in case.planes]
    legend = [
        (c.color, f"{c.name}  {_amount(row, in_pixels=case.is_picture)}")
        for c, row in zip(labels.table, volumes.rows, strict=True)
    ]
    return _compose(panes, legend[:12], more=max(0, len(legend) - 12))


def _amount(row: ClassVolume, *, in_pixels: bool) -> str:
    size = f"{row.voxels} pixels" if in_pixels else f"{row.volume_ml:.2f} ml"
    return size if row.objects is None else f"{row.objects} object{'' if row.objects == 1 else 's'}, {size}"


def _compose(panes: list[Image.Image], legend: list[tuple[tuple[int, int, int], str]], more: int) -> Image.Image:
    """Set the panes side by side over the legend."""
    size, per_row = panes[0].width, len(panes)
    rows = -(-len(legend) // per_row) + (more > 0)
    picture = Image.new("RGB", (len(panes) * (size + GAP) + GAP, size + 2 * GAP + rows * LINE + GAP), BACKGROUND)
    for number, drawn in enumerate(panes):
        picture.paste(drawn, (GAP + number * (size + GAP), GAP))
    draw = ImageDraw.Draw(picture)
    for number, (color, text) in enumerate(legend):
        x = GAP + (number % per_row) * (size + GAP)
        y = size + 2 * GAP + (number // per_row) * LINE
        draw.rectangle((x, y + 3, x + 12, y + 15), fill=color)
        draw.text((x + 20, y + 9), text, fill=INK, font=font(13), anchor="lm")
    if more:
        y = size + 2 * GAP + (rows - 1) * LINE
        draw.text((GAP, y + 9), f"and {more} more classes: see measurements.csv", fill=INK, font=font(13), anchor="lm")
    return picture
