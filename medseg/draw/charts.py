"""Draws the charts of the reports: box plots, Bland-Altman, and lines such as FROC, reliability and losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from medseg.draw.svg import Frame, Svg, figure, ticks

CHARACTER = 6.6  # width in pixels of a letter at the chart's 12 px
LONGEST_NAME = 26
ROW = 34
POINT = "3"


@dataclass(frozen=True)
class BoxRow:
    """One class of a box plot, its CSS color, and its values by case id; what is not finite is counted, not drawn."""

    name: str
    color: str
    values: Mapping[str, float]


def box_plot(rows: Sequence[BoxRow], *, unit: str, is_fraction: bool, title: str, width: int = 560) -> Markup:
    """Draw box, whiskers and every case of each class; a case's name appears under the pointer.

    The box spans the quartiles with the median in it; whiskers reach the last case within 1.5 box lengths (Tukey).
    `is_fraction` is for values between 0 and 1, where the axis ends at 1.
    """
    finite = [v for row in rows for v in row.values.values() if math.isfinite(v)]
    if is_fraction:
        low, high = math.floor(10 * min([0.5, *finite]) + 1e-9) / 10 if finite else 0.0, 1.0
    else:
        low, high = _to_ticks(min([0.0, *finite]), max([0.0, *finite]))
    high = high if high > low else low + 1
    right = 16 + (CHARACTER * (len(unit) + 3) if unit else 0)  # the unit stands where no number can
    left = 12 + CHARACTER * min(LONGEST_NAME, max((len(row.name) for row in rows), default=0))
    svg = Svg(width, ROW * len(rows) + 34, title)

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    for tick in ticks(low, high):
        svg.add("line", "grid", x1=x(tick), x2=x(tick), y1=4, y2=svg.height - 28)
        svg.text(x(tick), svg.height - 12, figure(tick), "middle")
    if unit:
        svg.text(width - 2, svg.height - 12, unit, "end")
    for number, row in enumerate(rows):
        _box_row(svg, row, 4 + ROW * number + ROW / 2, left, x)
    return svg.markup()


def bland_altman(
    pairs: Mapping[str, tuple[float, float]],
    *,
    color: str,
    unit: str,
    title: str,
    names: tuple[str, str] = ("prediction", "reference"),
) -> Markup:
    """Draw difference, first minus second, against mean of two figures by case, with bias and limits of agreement.

    `names` are what the two are called.

    References
    ----------
    Bland and Altman, Lancet 1986: limits are the mean difference plus and minus 1.96 standard deviations.
    """
    svg = Svg(360, 230, title)
    if not pairs:
        return svg.markup()
    a, b = np.array(list(pairs.values())).T
    means, gaps = (a + b) / 2, a - b
    bias = float(gaps.mean())
    spread = 1.96 * float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
    reach = max(float(np.abs(gaps).max()), abs(bias) + spread, 1e-9) * 1.1
    frame = Frame(svg, _padded(float(means.min()), float(means.max())), (-reach, reach))
    frame.draw(f"mean of {names[0]} and {names[1]} ({unit})", f"{names[0]} − {names[1]} ({unit})")
    levels = [("zero", 0.0, {}), ("bias", bias, {"stroke": color})]
    levels += [("limit", bias + side * spread, {"stroke": color}) for side in (-1, 1) if len(gaps) > 1]
    left, right, _, _ = frame.edges
    for kind, level, stroke in levels:
        svg.add("line", kind, x1=left, x2=right, y1=frame.y(level), y2=frame.y(level), **stroke)
    for case, mean, gap in zip(pairs, means, gaps, strict=True):
        tooltip = f"{case}: {figure(gap, '+.3g')} {unit}"
        svg.add("circle", "case", tooltip, cx=frame.x(mean), cy=frame.y(gap), r=POINT, fill=color)
    return svg.markup()


def line_chart(
    points: Sequence[tuple[float, float]],
    *,
    x_title: str,
    y_title: str,
    title: str = "",
    x_high: float | None = None,
    diagonal: bool = False,
    stepped: bool = False,
) -> Markup:
    """Draw a curve; points that are not finite are skipped.

    With `x_high` the axes run from 0 to it and from 0 to 1 (FROC, or a reliability diagram with its `diagonal`), else
    over the range of the points. A `stepped` curve stays at a value up to the next point.
    """
    points = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    svg = Svg(420 if x_high is None else 360, 240 if x_high is None else 260, title or y_title)
    if not points:
        return svg.markup()
    if x_high is None:
        frame = Frame(svg, _range([x for x, _ in points]), _range([y for _, y in points]))
    else:
        frame = Frame(svg, (0.0, x_high), (0.0, 1.0))
    frame.draw(x_title, y_title)
    if diagonal:
        svg.add("line", "zero", x1=frame.x(0), y1=frame.y(0), x2=frame.x(1), y2=frame.y(1))
    (x, y), *others = points
    path = f"M{frame.x(x):.1f} {frame.y(y):.1f}"
    for x, y in others:
        path += f"{'H' if stepped else 'L'}{frame.x(x):.1f}{'V' if stepped else ' '}{frame.y(y):.1f}"
    svg.add("path", "curve", d=path)
    if diagonal or len(points) == 1:
        for x, y in points:
            svg.add("circle", "dot", f"{figure(x, '.3g')}: {figure(y, '.3g')}", cx=frame.x(x), cy=frame.y(y), r=POINT)
    return svg.markup()


def _to_ticks(low: float, high: float) -> tuple[float, float]:
    """Widen a range to the round numbers around it."""
    marks = ticks(low, high)
    if len(marks) < 2:
        return low, high
    step = marks[1] - marks[0]
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _box_row(svg: Svg, row: BoxRow, middle: float, left: float, x: Callable[[float], float]) -> None:
    name = row.name if len(row.name) <= LONGEST_NAME else row.name[: LONGEST_NAME - 1] + "…"
    svg.text(left - 8, middle + 4, name, "end", tooltip=row.name)
    finite = {case: value for case, value in row.values.items() if math.isfinite(value)}
    if finite:
        values = np.array(list(finite.values()))
        q1, median, q3 = np.percentile(values, [25, 50, 75])
        inside = values[(values >= q1 - 1.5 * (q3 - q1)) & (values <= q3 + 1.5 * (q3 - q1))]
        svg.add("line", "whisker", x1=x(inside.min()), x2=x(inside.max()), y1=middle, y2=middle)
        length = max(1.0, x(q3) - x(q1))
        svg.add("rect", "box", fill=row.color, x=x(q1), y=middle - 8, width=length, height=16)
        for number, (case, value) in enumerate(sorted(finite.items(), key=lambda item: item[1])):
            # Neighbors in value are set apart in height, by the golden ratio: even, and the same every time.
            offset = ((number * 0.618034) % 1 - 0.5) * 14
            place = {"cx": x(value), "cy": middle + offset}
            svg.add("circle", "case", f"{case}: {value:.4g}", **place, r=POINT, fill=row.color)
        svg.add("line", "median", x1=x(median), x2=x(median), y1=middle - 10, y2=middle + 10)
    if len(row.values) > len(finite):
        # Below the name, where no dot can lie.
        text = f"+ {len(row.values) - len(finite)} undefined or infinite"
        svg.text(left - 8, middle + 15, text, "end", "soft")


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = (high - low) * 0.06 or max(abs(high), 1.0) * 0.1
    return low - pad, high + pad


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5 * max(abs(low), 1e-9), high + 0.5 * max(abs(high), 1e-9))
