"""Plots hold every name, skip what is no number, and are the same bytes when drawn again."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from medseg.draw.plots import place_names, plot_points, plot_values


def test_a_plot_is_the_same_bytes_again(tmp_path: Path) -> None:
    columns = {"Dice": [[0.8, 0.9, math.nan], []], "boundary F1": [[0.5], [0.25, 0.75]]}
    points = [("unet", 2.0, 0.9), ("segnet", 20.0, math.nan)]
    for name in ("first", "again"):
        plot_values(["unet", "segnet"], columns, tmp_path / f"{name}-values.png")
        plot_points(points, ("seconds a scan", "Dice"), tmp_path / f"{name}-points.png")
    for kind in ("values", "points"):
        first = tmp_path / f"first-{kind}.png"
        assert first.read_bytes() == (tmp_path / f"again-{kind}.png").read_bytes()
        with Image.open(first) as image:
            assert image.width == 960


def test_names_of_points_that_lie_together_lie_apart_and_within_the_axes() -> None:
    points = [(f"network-{n}", 1 + 0.01 * n, 0.9 - 0.001 * n) for n in range(12)] + [("slow", 100.0, 0.1)]
    figure = Figure(figsize=(8, 6), layout="constrained")
    axis = figure.subplots()
    axis.plot([x for _, x, _ in points], [y for _, _, y in points], "o")
    axis.set_xscale("log")
    texts = place_names(figure, axis, points)
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in texts]
    inside = axis.get_window_extent()
    assert sorted(text.get_text() for text in texts) == sorted(name for name, _, _ in points)
    for number, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:number]) == 0
        assert inside.x0 < box.x0 < box.x1 < inside.x1
        assert inside.y0 < box.y0 < box.y1 < inside.y1
