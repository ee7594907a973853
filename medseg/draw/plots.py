"""Plots for pages of the documentation, by matplotlib, of the extra `plots`; charts of reports need nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.io.files.atomic import atomic_path


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
    """Plot named points, the horizontal axis logarithmic; `labels` are those of both axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    for name, x, y in points:
        axis.plot(x, y, "o", color="tab:blue", markersize=4)
        axis.annotate(name, (x, y), xytext=(3, 2), textcoords="offset points", fontsize=7)
    axis.set_xscale("log")
    axis.set_xlabel(labels[0])
    axis.set_ylabel(labels[1])
    axis.grid(alpha=0.3, which="both")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as part:
        figure.savefig(part, format="png", dpi=120, metadata={"Software": None})
