"""Plots for pages of the documentation, by matplotlib, of the extra `plots`; charts of reports need nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.io.files.atomic import atomic_path

# Where the name of a point may be, in typographic points from it, the nearest first; a line leads to those farther off.
NAME_PLACES = sorted(
    ((side * dx, dy) for side in (1, -1) for dx in range(5, 150, 12) for dy in range(-120, 121, 3)),
    key=lambda place: (math.hypot(*place), -place[0]),
)
NEAR = 9.0
LINE = {"arrowstyle": "-", "linewidth": 0.5, "color": "0.6", "shrinkA": 0, "shrinkB": 2}


def plot_values(names: Sequence[str], columns: Mapping[str, Sequence[Sequence[float]]], path: Path) -> None:
    """Plot values and their mean in a row for each name, in a column for each title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.32 * len(names) + 1.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(columns), sharey=True))
    rows = np.arange(len(names))[::-1]
    for axis, (title, of_names) in zip(axes, columns.items(), strict=True):
        for row, values in zip(rows, of_names, strict=True):
            finite = [value for value in values if math.isfinite(value)]
            axis.plot(finite, [row] * len(finite), "o", color="0.7", markersize=3)
            if finite:
                axis.plot(np.mean(finite), row, "D", color="tab:blue", markersize=5)
        axis.set_title(title, fontsize=10)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(rows, names, fontsize=8)
    _save(figure, path)


def plot_points(points: Sequence[tuple[str, float, float]], labels: tuple[str, str], path: Path) -> None:
    """Plot named points, the horizontal axis logarithmic; `labels` are those of both axes.

    Names lie over neither each other nor points; one that is moved away has a line to its point.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    axis = figure.subplots()
    shown = [point for point in points if all(map(math.isfinite, point[1:]))]
    axis.plot([x for _, x, _ in shown], [y for _, _, y in shown], "o", color="tab:blue", markersize=4)
    axis.set_xscale("log")
    axis.set_xlabel(labels[0])
    axis.set_ylabel(labels[1])
    axis.grid(alpha=0.3, which="both")
    place_names(figure, axis, shown)
    _save(figure, path)


def place_names(figure: Any, axis: Any, points: Sequence[tuple[str, float, float]]) -> list[Any]:
    """Write the names of points beside them, each at the nearest place that is free; return the texts."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # else the axes move under the names
    inside, pixels = axis.get_window_extent(), figure.dpi / 72
    places = {name: axis.transData.transform((x, y)) for name, x, y in points}
    taken = [Bbox([place - 3 * pixels, place + 3 * pixels]) for place in places.values()]
    texts = []
    for name, x, y in sorted(points, key=lambda point: -point[2]):
        measured = axis.text(0, 0, name, fontsize=7)
        size = measured.get_window_extent().size
        measured.remove()
        for offset in NAME_PLACES:
            corner = places[name] + np.multiply(offset, pixels) - size * (offset[0] < 0, 0.5)
            box = Bbox([corner, corner + size])
            if box.count_overlaps(taken) == 0 and (inside.min < box.min).all() and (box.max < inside.max).all():
                break
        taken.append(box)
        is_left = offset[0] < 0
        line = {**LINE, "relpos": (is_left, 0.5)} if math.hypot(*offset) > NEAR else None
        how = {"fontsize": 7, "ha": "right" if is_left else "left", "va": "center", "arrowprops": line}
        texts.append(axis.annotate(name, (x, y), offset, textcoords="offset points", **how))
    return texts


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as part:
        figure.savefig(part, format="png", dpi=120, metadata={"Software": None})
