"""Draws a run's curves as SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree

from markupsafe import Markup

from medseg.draw.charts import ticks

__all__ = ["curve"]

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 58, WIDTH - 12, 12, HEIGHT - 38


def curve(values: Sequence[tuple[float, float]], *, x_title: str, y_title: str) -> Markup:
    """Draw one curve over its whole range.

    Parameters
    ----------
    values : sequence of (x, y)
        In order of x; points that are not finite are skipped.
    x_title, y_title : str
        Of the axes; the second is also said to those who cannot see the chart.
    """
    points = [(x, y) for x, y in values if math.isfinite(x) and math.isfinite(y)]
    svg = ElementTree.Element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", style=f"max-width:{WIDTH}px")
    ElementTree.SubElement(svg, "title").text = y_title
    if not points:
        return Markup(ElementTree.tostring(svg, encoding="unicode"))  # noqa: S704 - ElementTree escapes
    (x_low, x_high), (y_low, y_high) = (_range([point[axis] for point in points]) for axis in (0, 1))

    def x(value: float) -> float:
        return LEFT + (value - x_low) / (x_high - x_low) * (RIGHT - LEFT)

    def y(value: float) -> float:
        return BOTTOM - (value - y_low) / (y_high - y_low) * (BOTTOM - TOP)

    for tick in ticks(y_low, y_high, 5):
        level = f"{y(tick):.1f}"
        ends = {"x1": str(LEFT), "x2": str(RIGHT), "y1": level, "y2": level, "class": "grid"}
        ElementTree.SubElement(svg, "line", ends)
        _text(svg, LEFT - 6, y(tick) + 4, f"{tick:.4g}", "end")
    for tick in ticks(x_low, x_high, 6):
        _text(svg, x(tick), BOTTOM + 16, f"{tick:.6g}", "middle")
    _text(svg, (LEFT + RIGHT) / 2, HEIGHT - 5, x_title, "middle")
    title = _text(svg, 0, 0, y_title, "middle")
    title.set("transform", f"translate(12 {(TOP + BOTTOM) / 2:.1f}) rotate(-90)")
    path = " ".join(f"{'L' if number else 'M'}{x(a):.1f} {y(b):.1f}" for number, (a, b) in enumerate(points))
    ElementTree.SubElement(svg, "path", {"d": path, "class": "curve"})
    if len(points) == 1:
        ElementTree.SubElement(svg, "circle", cx=f"{x(points[0][0]):.1f}", cy=f"{y(points[0][1]):.1f}", r="3")
    return Markup(ElementTree.tostring(svg, encoding="unicode"))  # noqa: S704 - ElementTree escapes


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5 * max(abs(low), 1e-9), high + 0.5 * max(abs(high), 1e-9))


def _text(svg: ElementTree.Element, x: float, y: float, text: str, anchor: str) -> ElementTree.Element:
    element = ElementTree.SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor})
    element.text = text.replace("-", "\N{MINUS SIGN}") if text.lstrip("-")[:1].isdigit() else text
    return element
