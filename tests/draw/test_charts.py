"""The charts of the report: what is written on them can be read."""

from xml.etree import ElementTree

import pytest

from medseg.draw.charts import CHARACTER, BoxRow, box_plot


@pytest.mark.parametrize("high", [0.41, 1.0, 1.414, 37.0, 9999.0])
@pytest.mark.parametrize("unit", ["mm", "ml", "Dice"])
def test_neither_unit_nor_dots_leave_the_axis(high, unit):
    values = {str(number): high * number / 5 for number in range(6)}
    plot = box_plot([BoxRow("liver", "#123456", values)], unit=unit, is_fraction=False, title="t")
    svg = ElementTree.fromstring(plot)
    (mark,) = (text for text in svg.iter("text") if text.text == unit)
    numbers = [text for text in svg.iter("text") if text.get("y") == mark.get("y") and text is not mark]
    last = max(float(text.get("x")) + CHARACTER * len(text.text) / 2 for text in numbers)
    assert last < float(mark.get("x")) - CHARACTER * len(unit) + 4
    grid = [float(line.get("x1")) for line in svg.iter("line") if line.get("class") == "grid"]
    dots = [float(dot.get("cx")) for dot in svg.iter("circle")]
    assert min(grid) <= min(dots) + 0.1
    assert max(dots) <= max(grid) + 0.1
