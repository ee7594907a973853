"""Draws the charts of the report as SVG that needs nothing else: box plots, Bland-Altman, FROC, reliability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

__all__ = ["BoxRow", "bland_altman", "box_plot", "line_chart", "ticks"]

CHARACTER = 6.6  # width in pixels of a letter at the chart's 12 px
ROW = 34
POINT = "3"


@dataclass(frozen=True)
class BoxRow:
    """One class of a box plot.

    Parameters
    ----------
    name : str
        The class.
    color : str
        CSS color of its box.
    values : mapping of str to float
        Value by case id; NaN and infinite values are counted, not drawn.
    """

    name: str
    color: str
    values: Mapping[str, float]


def box_plot(rows: Sequence[BoxRow], *, unit: str, share: bool, title: str, width: int = 560) -> Markup:
    """Draw box, whiskers and every case of each class; a case's name appears under the pointer.

    The box spans the quartiles with the median in it; whiskers reach the last case within 1.5 box lengths (Tukey).

    Parameters
    ----------
    rows : sequence of BoxRow
        One a class.
    unit : str
        Of the axis.
    share : bool
        Whether values lie between 0 and 1, so that the axis ends there.
    title : str
        Said to those who cannot see it.
    width : int
        Pixels.
    """
    finite = [v for row in rows for v in row.values.values() if math.isfinite(v)]
    if share:
        low, high = math.floor(10 * min([0.5, *finite]) + 1e-9) / 10 if finite else 0.0, 1.0
    else:
        low, high = _to_ticks(min([0.0, *finite]), max([0.0, *finite]))
    high = high if high > low else low + 1
    right = 16 + (CHARACTER * (len(unit) + 3) if unit else 0)  # the unit stands where no number can
    left = 12 + CHARACTER * min(26, max((len(row.name) for row in rows), default=0))
    height = ROW * len(rows) + 34
    svg = _svg(width, height, title)

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    for tick in ticks(low, high):
        _add(svg, "line", x1=x(tick), x2=x(tick), y1=4, y2=height - 28, **{"class": "grid"})
        _text(svg, x(tick), height - 12, _number(tick), "middle")
    if unit:
        _text(svg, width - 2, height - 12, unit, "end")
    for number, row in enumerate(rows):
        _box_row(svg, row, 4 + ROW * number + ROW / 2, left, x)
    return _markup(svg)


def bland_altman(
    pairs: Mapping[str, tuple[float, float]], *, color: str, unit: str, title: str, width: int = 360, height: int = 230
) -> Markup:
    """Draw difference against mean of two measurements of the same thing, with bias and limits of agreement.

    Parameters
    ----------
    pairs : mapping of str to (float, float)
        Prediction and reference by case id.
    color, unit, title, width, height
        As for `box_plot`.

    References
    ----------
    Bland and Altman, Lancet 1986: limits are the mean difference plus and minus 1.96 standard deviations.
    """
    svg = _svg(width, height, title)
    if not pairs:
        return _markup(svg)
    a, b = np.array(list(pairs.values())).T
    means, gaps = (a + b) / 2, a - b
    bias = float(gaps.mean())
    spread = 1.96 * float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
    reach = max(float(np.abs(gaps).max()), abs(bias) + spread, 1e-9) * 1.1
    low, high = _padded(float(means.min()), float(means.max()))
    left, right, top, bottom = 60, width - 10, 8, height - 34

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    def y(value: float) -> float:
        return top + (reach - value) / (2 * reach) * (bottom - top)

    for tick in ticks(-reach, reach, 5):
        _add(svg, "line", x1=left, x2=right, y1=y(tick), y2=y(tick), **{"class": "grid"})
        _text(svg, left - 5, y(tick) + 4, _number(tick), "end")
    for tick in ticks(low, high, 5):
        _text(svg, x(tick), bottom + 15, _number(tick), "middle")
    _text(svg, (left + right) / 2, height - 4, f"mean of prediction and reference ({unit})", "middle", "soft")
    turned = _text(svg, 0, 0, f"prediction − reference ({unit})", "middle", "soft")
    turned.set("transform", f"translate(11 {(top + bottom) / 2:.1f}) rotate(-90)")
    _add(svg, "line", x1=left, x2=right, y1=y(0), y2=y(0), **{"class": "zero"})
    _add(svg, "line", x1=left, x2=right, y1=y(bias), y2=y(bias), stroke=color, **{"class": "bias"})
    for limit in (bias - spread, bias + spread) if len(gaps) > 1 else ():
        _add(svg, "line", x1=left, x2=right, y1=y(limit), y2=y(limit), stroke=color, **{"class": "limit"})
    for case, mean, gap in zip(pairs, means, gaps, strict=True):
        point = _add(svg, "circle", cx=x(mean), cy=y(gap), r=POINT, fill=color, **{"class": "case"})
        _title(point, f"{case}: {_signed(gap)} {unit}")
    return _markup(svg)


def line_chart(
    points: Sequence[tuple[float, float]],
    *,
    x_title: str,
    y_title: str,
    title: str,
    diagonal: bool = False,
    stepped: bool = False,
    x_high: float = 1.0,
    width: int = 360,
    height: int = 260,
) -> Markup:
    """Draw a curve whose second coordinate lies between 0 and 1: FROC, or a reliability diagram."""
    svg = _svg(width, height, title)
    left, right, top, bottom = 46, width - 12, 10, height - 38

    def x(value: float) -> float:
        return left + min(value, x_high) / x_high * (right - left)

    def y(value: float) -> float:
        return bottom - value * (bottom - top)

    for tick in ticks(0, 1, 5):
        _add(svg, "line", x1=left, x2=right, y1=y(tick), y2=y(tick), **{"class": "grid"})
        _text(svg, left - 5, y(tick) + 4, _number(tick), "end")
    for tick in ticks(0, x_high, 5):
        _text(svg, x(tick), bottom + 15, _number(tick), "middle")
    _text(svg, (left + right) / 2, height - 4, x_title, "middle", "soft")
    turned = _text(svg, 0, 0, y_title, "middle", "soft")
    turned.set("transform", f"translate(11 {(top + bottom) / 2:.1f}) rotate(-90)")
    if diagonal:
        _add(svg, "line", x1=x(0), y1=y(0), x2=x(x_high), y2=y(1), **{"class": "zero"})
    path = "".join(
        f"{'M' if number == 0 else ('H' if stepped else 'L')}{x(px):.1f}"
        + (f"V{y(py):.1f}" if stepped and number else f" {y(py):.1f}")
        for number, (px, py) in enumerate(points)
    )
    _add(svg, "path", d=path, **{"class": "curve"})
    if not stepped:
        for px, py in points:
            dot = _add(svg, "circle", cx=x(px), cy=y(py), r=POINT, **{"class": "dot"})
            _title(dot, f"{px:.2f}: {py:.3f}")
    return _markup(svg)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two ends, at most `most` of them."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((m * power for m in (1, 2, 5) if m * power >= rough), 10 * power)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _to_ticks(low: float, high: float) -> tuple[float, float]:
    """Widen a range to the round numbers around it."""
    marks = ticks(low, high)
    if len(marks) < 2:
        return low, high
    step = marks[1] - marks[0]
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _box_row(svg: ElementTree.Element, row: BoxRow, middle: float, left: float, x: object) -> None:
    at = x if callable(x) else float
    name = row.name if len(row.name) <= 26 else row.name[:25] + "…"
    _title(_text(svg, left - 8, middle + 4, name, "end"), row.name)
    finite = {case: value for case, value in row.values.items() if math.isfinite(value)}
    away = len(row.values) - len(finite)
    if finite:
        values = np.array(list(finite.values()))
        q1, median, q3 = np.percentile(values, [25, 50, 75])
        inside = values[(values >= q1 - 1.5 * (q3 - q1)) & (values <= q3 + 1.5 * (q3 - q1))]
        _add(svg, "line", x1=at(inside.min()), x2=at(inside.max()), y1=middle, y2=middle, **{"class": "whisker"})
        _add(
            svg, "rect", x=at(q1), y=middle - 8, width=max(1.0, at(q3) - at(q1)), height=16, fill=row.color,
            **{"class": "box"},
        )  # fmt: skip
        for number, (case, value) in enumerate(sorted(finite.items(), key=lambda item: item[1])):
            # Neighbors in value are set apart in height, by the golden ratio: even, and the same every time.
            offset = ((number * 0.618034) % 1 - 0.5) * 14
            point = _add(svg, "circle", cx=at(value), cy=middle + offset, r=POINT, fill=row.color, **{"class": "case"})
            _title(point, f"{case}: {value:.4g}")
        _add(svg, "line", x1=at(median), x2=at(median), y1=middle - 10, y2=middle + 10, **{"class": "median"})
    if away:
        # Below the name, where no dot can lie.
        _text(svg, left - 8, middle + 15, f"+ {away} undefined or infinite", "end", "soft")


def _svg(width: float, height: float, title: str) -> ElementTree.Element:
    svg = ElementTree.Element(
        "svg", {"viewBox": f"0 0 {width:g} {height:g}", "role": "img", "style": f"max-width:{width:g}px"}
    )
    _title(svg, title)
    return svg


def _add(parent: ElementTree.Element, tag: str, **attributes: float | str) -> ElementTree.Element:
    written = {
        key.replace("_", "-"): value if isinstance(value, str) else f"{value:.1f}" for key, value in attributes.items()
    }
    return ElementTree.SubElement(parent, tag, written)


def _text(
    parent: ElementTree.Element, x: float, y: float, text: str, anchor: str, kind: str = ""
) -> ElementTree.Element:
    element = _add(parent, "text", x=x, y=y, text_anchor=anchor, **({"class": kind} if kind else {}))
    element.text = text
    return element


def _title(parent: ElementTree.Element, text: str) -> None:
    ElementTree.SubElement(parent, "title").text = text


def _markup(svg: ElementTree.Element) -> Markup:
    # ElementTree escapes every text and attribute, so what it writes is safe to set into the page as it is.
    return Markup(ElementTree.tostring(svg, encoding="unicode"))  # noqa: S704


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = (high - low) * 0.06 or max(abs(high), 1.0) * 0.1
    return low - pad, high + pad
