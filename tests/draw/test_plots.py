"""Plots hold every name, skip what is no number, and are the same bytes when drawn again."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image

from medseg.draw.plots import plot_points, plot_values


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
