"""Cases that differ from the rest of their dataset: spacing, size, intensity, contrast, volumes of classes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from medseg.data.examine import Examined
from medseg.data.findings import Finding

# Modified z-score (Iglewicz & Hoaglin 1993) beyond which a case is unusual; they propose 3.5, which in data with long
# tails marks too many.
UNUSUAL = 6.0
UNUSUAL_CONTRAST = 3.5
# Values within 10% are alike; a case that more than 2% of the cases are like is not unusual.
SIMILAR = 0.1
ALIKE = 0.02
# A class of less than so many times the usual volume, or more than that part of it, is as people differ.
LEAST_FACTOR = 3.0
# No case is unusual among fewer.
FEWEST = 8


def unusual_cases(examined: Sequence[Examined]) -> Iterator[Finding]:
    """Cases of unusual spacing, size, intensity, contrast or volume of a class."""
    read = [e for e in examined if e.shape is not None and e.spacing is not None and not e.constant]
    for axis, letter in enumerate("xyz"):
        spacing = [e.spacing[axis] for e in read if e.spacing is not None]
        extent = [e.shape[axis] * e.spacing[axis] for e in read if e.shape is not None and e.spacing is not None]
        yield from _outliers(
            read, spacing, "unusual-spacing", f"Spacing along {letter} is {{value:.3g}} mm, usually {{usual:.3g}} mm."
        )
        yield from _outliers(
            read, extent, "unusual-size", f"Field of view along {letter} is {{value:.3g}} mm, usually {{usual:.3g}} mm."
        )
    channels = {len(e.deviations) for e in read}
    for channel in range(min(channels, default=0)):
        yield from _outliers(
            read,
            [max(e.deviations[channel], 1e-12) for e in read],
            "unusual-intensity",
            f"Standard deviation of channel {channel} is {{value:.3g}}, usually {{usual:.3g}}.",
        )
    yield from _low_contrast(read)
    yield from _volumes(read)


def _volumes(read: Sequence[Examined]) -> Iterator[Finding]:
    """Cases in which a class is far larger or smaller than usual: values exchanged, inverted, or drawn in part."""
    usable = [e for e in read if e.trouble is None]
    for name in dict.fromkeys(name for e in usable for name in e.classes):
        holding = [e for e in usable if name in e.classes]
        volumes = np.array([math.prod(e.spacing or ()) * (e.voxels or {})[name] for e in holding])
        ratios = (volumes / np.median(volumes)).tolist()
        text = f"'{name}' has {{value:.3g}} times the usual volume."
        yield from _outliers(holding, ratios, "unusual-volume", text, least=LEAST_FACTOR)


def _low_contrast(read: Sequence[Examined]) -> Iterator[Finding]:
    """Cases whose label stands out from its surroundings far less than is usual."""
    drawn = [e for e in read if not math.isnan(e.contrast)]
    if len(drawn) < FEWEST:
        return
    values = np.array([e.contrast for e in drawn])
    middle = float(np.median(values))
    spread = max(float(np.median(np.abs(values - middle))), 1e-3)
    for one, value in zip(drawn, values, strict=True):
        if 0.6745 * (middle - value) / spread > UNUSUAL_CONTRAST:
            message = f"Inside and around the label differ by {value:.2g} standard deviations, usually by {middle:.2g}."
            yield Finding("unusual-contrast", message, one.case.case_id)


def _outliers(
    cases: Sequence[Examined], values: Sequence[float], kind: str, text: str, *, least: float = 1.0
) -> Iterator[Finding]:
    """Cases whose value lies far from the median and has hardly any like it.

    Distances are those of logarithms, measured in median distances from the median. A tenth of the cases from another
    scanner lies far from the rest and is not unusual; one case alone is. Less than the factor `least` is never far.
    """
    if len(values) < FEWEST:
        return
    scaled = np.log(values)
    middle = float(np.median(scaled))
    # Half a percent: values that are all but equal have no spread to measure by.
    spread = max(float(np.median(np.abs(scaled - middle))), 0.005)
    alike = max(1, int(ALIKE * len(values)))
    for one, value, place in zip(cases, values, scaled, strict=True):
        far = 0.6745 * abs(place - middle) / spread > UNUSUAL and abs(place - middle) > math.log(least)
        if far and np.count_nonzero(np.abs(scaled - place) < SIMILAR) <= alike:
            yield Finding(kind, text.format(value=value, usual=math.exp(middle)), one.case.case_id)
