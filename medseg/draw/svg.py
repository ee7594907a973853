"""SVG that needs nothing else: elements, and the frame of a chart with its ticks and titles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup

from medseg.harmless import printable


class Svg:
    """A drawing of some width and height in pixels; its title is read to those who cannot see it."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height = width, height
        attributes = {"viewBox": f"0 0 {width:g} {height:g}", "role": "img", "style": f"max-width:{width:g}px"}
        self._root = ElementTree.Element("svg", attributes)
        _title(self._root, title)

    def add(self, tag: str, kind: str = "", tooltip: str = "", **attributes: float | str) -> ElementTree.Element:
        """Add an element of a CSS class; ``stroke_width`` is written ``stroke-width``."""
        written = {k.replace("_", "-"): v if isinstance(v, str) else f"{v:.1f}" for k, v in attributes.items()}
        element = ElementTree.SubElement(self._root, tag, {**written, **({"class": kind} if kind else {})})
        if tooltip:
            _title(element, tooltip)
        return element

    def text(
        self, x: float, y: float, text: str, anchor: str, kind: str = "", tooltip: str = ""
    ) -> ElementTree.Element:
        """Write text that starts, ends or has its middle at a place."""
        element = self.add("text", kind, tooltip, x=x, y=y, text_anchor=anchor)
        element.text = text
        return element

    def markup(self) -> Markup:
        """All of it, for a page."""
        # ElementTree escapes every text and attribute, so what it writes is safe to set into the page as it is, but for
        # what XML has no escape of.
        return Markup(printable(ElementTree.tostring(self._root, encoding="unicode")))  # noqa: S704


@dataclass(frozen=True)
class Frame:
    """Where values of two axes lie in a drawing."""

    svg: Svg
    x_ends: tuple[float, float]
    y_ends: tuple[float, float]

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, right, top and bottom of the frame in pixels."""
        return 60, self.svg.width - 12, 10, self.svg.height - 38

    def x(self, value: float) -> float:
        """Pixels from the left; values beyond the right end lie at it."""
        left, right, _, _ = self.edges
        low, high = self.x_ends
        return left + (min(value, high) - low) / (high - low) * (right - left)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        _, _, top, bottom = self.edges
        low, high = self.y_ends
        return bottom - (value - low) / (high - low) * (bottom - top)

    def draw(self, x_title: str, y_title: str) -> None:
        """Draw grid, ticks and titles."""
        left, right, top, bottom = self.edges
        for tick in ticks(*self.y_ends, 5):
            self.svg.add("line", "grid", x1=left, x2=right, y1=self.y(tick), y2=self.y(tick))
            self.svg.text(left - 5, self.y(tick) + 4, figure(tick), "end")
        for tick in ticks(*self.x_ends, 5):
            self.svg.text(self.x(tick), bottom + 15, figure(tick), "middle")
        self.svg.text((left + right) / 2, self.svg.height - 4, x_title, "middle", "soft")
        turned = self.svg.text(0, 0, y_title, "middle", "soft")
        turned.set("transform", f"translate(11 {(top + bottom) / 2:.1f}) rotate(-90)")


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


def figure(value: float, form: str = ".6g") -> str:
    """A number as a chart writes it."""
    return f"{value:{form}}".replace("-", "−")


def _title(parent: ElementTree.Element, text: str) -> None:
    ElementTree.SubElement(parent, "title").text = text
