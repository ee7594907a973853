"""Draws a control chart: values in order, the limits of the baseline, and where rules are broken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from medseg.draw.svg import Frame, Svg, figure

WIDTH, HEIGHT = 900, 220


@dataclass(frozen=True)
class ChartPoint:
    """One case: its number in the history, its value, and the rules broken there, in words."""

    number: int
    value: float
    broken: tuple[str, ...] = ()


def draw_control_chart(
    points: Sequence[ChartPoint],
    average: Sequence[tuple[int, float]],
    limits: Sequence[float],
    *,
    baseline_ends: float,
    title: str,
    unit: str,
    since: int | None = None,
) -> Markup:
    """Draw values as dots and their moving average as a line.

    - `limits`: values at -3, -2, -1, 0, 1, 2 and 3 standard deviations of the baseline.
    - `baseline_ends`: number of the history's last case of the baseline.
    - `since`: case from which on the values changed.
    """
    svg = Svg(WIDTH, HEIGHT, title)
    shown = [p.value for p in points] + [v for _, v in average] + [value for value in limits if math.isfinite(value)]
    low, high = min(shown), max(shown)
    pad = 0.05 * (high - low) or 1.0
    numbers = [point.number for point in points]
    frame = Frame(svg, (numbers[0] - 1, numbers[-1] + 1), (low - pad, high + pad))
    frame.draw("case", unit)
    left, right, top, bottom = frame.edges
    end = frame.x(baseline_ends + 0.5)
    svg.add("rect", "baseline", x=left, y=top, width=max(end - left, 0.0), height=bottom - top)
    for step, value in zip(range(-3, 4), limits, strict=True):
        kind = "center" if step == 0 else "outer" if abs(step) == 3 else "inner"
        svg.add("line", kind, x1=left, x2=right, y1=frame.y(value), y2=frame.y(value))
    if since is not None:
        svg.add(
            "line",
            "since",
            f"changed from case {since} on",
            x1=frame.x(since - 0.5),
            x2=frame.x(since - 0.5),
            y1=top,
            y2=bottom,
        )
    if average:
        path = "M" + "L".join(f"{frame.x(number):.1f} {frame.y(value):.1f}" for number, value in average)
        svg.add("path", "curve", d=path)
    for point in points:
        tooltip = f"case {point.number}: {figure(point.value, '.4g')}" + "".join(f"; {text}" for text in point.broken)
        kind = "signal" if point.broken else "value"
        svg.add(
            "circle", kind, tooltip, cx=frame.x(point.number), cy=frame.y(point.value), r="3" if point.broken else "2"
        )
    return svg.markup()
