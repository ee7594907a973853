"""Warnings where a scan is out of distribution: of another kind than what the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.prepare.card import InputCard
from medseg.types import Scan
from medseg.types.axis_order import toward

# How far beyond the training data's range of spacings and extents a scan may lie before it gets a warning.
SLACK = 1.05


def out_of_distribution(scan: Scan, card: InputCard) -> tuple[str, ...]:
    """Warnings about a scan as read, none where it is of the kind the card describes."""
    warnings = []
    expected = {channel.modality for channel in card.channels if channel.modality}
    if scan.modality and expected and scan.modality not in expected:
        warnings.append(f"The scan is {scan.modality}; the model was trained on {' and '.join(sorted(expected))}.")
    if scan.geometry.is_sheared:
        warnings.append("The scan's axes are not at right angles (tilted gantry), which the model ignores.")
    order = toward(scan.geometry, card.orientation).then(card.axis_order)
    spacing = order.select(scan.geometry.spacing)
    extent = [n * mm for n, mm in zip(order.select(scan.geometry.shape), spacing, strict=True)]
    for name, values, limits in (
        ("Spacing", spacing, card.expected_spacing),
        ("Field of view", extent, card.expected_extent_mm),
    ):
        if limits and beyond(values, *limits):
            low, high = (_mm(limit) for limit in limits)
            warnings.append(f"{name} {_mm(values)} mm; the training data has {low} to {high} mm.")
    return tuple(warnings)


def out_of_distribution_intensities(scan: Scan, labels: npt.NDArray[Any], card: InputCard) -> tuple[str, ...]:
    """Warnings where the labels enclose other intensities than the references of the training data."""
    warnings = []
    known = [(channel, found) for channel, found in zip(card.channels, scan.array, strict=True) if channel.foreground]
    inside = labels > 0 if known else labels
    for channel, array in known:
        assert channel.foreground is not None
        values = array[inside]
        if not values.size:
            continue
        low, high, middle = channel.foreground.low, channel.foreground.high, float(np.median(values))
        if not low <= middle <= high:
            found, *limits = outside_figures(middle, low, high, digits=4)
            warnings.append(
                f"Intensities of {channel.name} inside the labels have a median of {found}; the training data has "
                f"{' to '.join(limits)}."
            )
    return tuple(warnings)


def beyond(values: Sequence[float], low: Sequence[float], high: Sequence[float]) -> bool:
    """Whether any value lies outside its range by more than the slack."""
    return not all(a / SLACK <= v <= b * SLACK for v, a, b in zip(values, low, high, strict=True))


def outside_figures(value: float, low: float, high: float, *, digits: int) -> tuple[str, str, str]:
    """A value and the range that it lies outside of, rounded to as many digits as it takes to see that it does.

    >>> outside_figures(2.154, 0.993, 2.152, digits=3)
    ('2.154', '0.993', '2.152')
    """
    while digits < 17 and f"{value:.{digits}g}" in (f"{low:.{digits}g}", f"{high:.{digits}g}"):
        digits += 1
    return f"{value:.{digits}g}", f"{low:.{digits}g}", f"{high:.{digits}g}"


def _mm(values: Sequence[float]) -> str:
    return " x ".join(f"{v:.3g}" for v in values)
