"""Finds CT scans whose zero is not that of Hounsfield units, as after an export without the rescale intercept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Modalities of channels whose zero is looked at; one that is not stated may be CT, which its air then shows.
MAY_BE_CT = ("CT", None)
# Voxels looked at in a channel.
MOST = 200_000
# Air of a CT scan, in Hounsfield units; a scan with so large a fraction of it has the right zero.
AIR, ENOUGH_AIR = (-1100.0, -850.0), 0.01
# But soft tissue at -1,000 looks like air: a scan with hardly a voxel brighter than this is darker than any body.
DARK, BRIGHTEST = -200.0, 99.5
# What a rescale intercept that was not applied, or applied twice, shifts a scan by: 1,024, or 1,000 at some vendors.
SHIFT = (850.0, 1200.0)
# A scan with so large a fraction of its voxels at its lowest value, which is brighter than air, was cut off there.
AT_LOWEST = 0.02
# All values of a scan that was windowed to gray values.
GRAY = (0.0, 255.0)
# Where no air shows that a channel is CT: the median of tissue, and by what factor cases' bright ends may differ.
TISSUE, AS_BRIGHT = (-200.0, 400.0), 2.0
# Cases whose tissue is so near another's, in Hounsfield units, have the same zero.
SAME = 300.0


@dataclass(frozen=True)
class Levels:
    """Of one channel of a case: median of all voxels and of the labeled ones (NaN: none), extremes, fraction of air.

    - `at_lowest`: fraction of voxels at the lowest value.
    """

    median: float
    inside: float
    lowest: float
    air: float
    brightest: float = 0.0
    highest: float = math.inf
    at_lowest: float = 0.0

    @property
    def is_windowed(self) -> bool:
        """Whether values below or above a window are gone, if it is CT."""
        cut_off = self.lowest > AIR[1] and self.at_lowest > AT_LOWEST
        return cut_off or (self.lowest >= GRAY[0] and self.highest <= GRAY[1])

    @property
    def is_sound(self) -> bool:
        """Whether air is where it is in Hounsfield units."""
        return self.air > ENOUGH_AIR and self.brightest > DARK

    @property
    def tissue(self) -> float:
        """Median to compare with other cases'."""
        return self.median if math.isnan(self.inside) else self.inside


def levels_of(channel: npt.NDArray[np.floating], inside: npt.NDArray[np.floating] | None) -> Levels:
    """Levels of a channel, and of the intensities inside the labels."""
    flat = channel.ravel()
    sample = flat[:: max(1, len(flat) // MOST)]
    air = np.count_nonzero((sample > AIR[0]) & (sample < AIR[1])) / max(len(sample), 1)
    within = float(np.median(inside)) if inside is not None and len(inside) else float("nan")
    brightest = float(np.percentile(sample, BRIGHTEST))
    lowest = float(flat.min())
    at_lowest = float(np.count_nonzero(sample == lowest)) / max(len(sample), 1)
    return Levels(float(np.median(sample)), within, lowest, float(air), brightest, float(flat.max()), at_lowest)


def shifted(cases: Sequence[Levels]) -> Iterator[tuple[int, float]]:
    """Numbers of the cases of one CT channel that have another zero than the rest, and by how much.

    Those with air where it should be have the right one. Where none has, as in crops, the right one is that of most
    cases, and of equally many the lower.
    """
    if len(cases) < 2:
        return
    tissue = np.array([case.tissue for case in cases])
    sound = np.array([case.is_sound for case in cases])
    if sound.any():
        usual = float(np.median(tissue[sound]))
    else:
        near = [np.count_nonzero(np.abs(tissue - value) < SAME) for value in tissue]
        usual = float(min(value for value, count in zip(tissue, near, strict=True) if count == max(near)))
    for number, value in enumerate(tissue):
        if not sound[number] and SHIFT[0] <= abs(value - usual) <= SHIFT[1]:
            yield number, float(value - usual)


def seem_ct(cases: Sequence[Levels]) -> bool:
    """Whether cases of a channel that nobody calls CT are CT without air in which only the zero differs.

    MR has no negative values, and where it is brighter it varies more; a zero shifts all values alike.
    """
    off = dict(shifted(cases))
    others = [case for number, case in enumerate(cases) if number not in off]
    usual = float(np.median([case.tissue for case in others])) if others else math.inf
    ranges = [max(case.brightest - case.tissue, 1.0) for case in cases]
    return (
        TISSUE[0] < usual < TISSUE[1]
        and all(case.lowest < 0 for case in others)
        and max(ranges) <= AS_BRIGHT * min(ranges)
    )


def not_hounsfield(cases: Sequence[Levels]) -> bool:
    """Whether no case of a CT channel can be in Hounsfield units: none has a voxel darker than fat."""
    return bool(cases) and all(case.lowest > -50 for case in cases)
