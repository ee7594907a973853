"""What a scan's intensities are: one value, a label map, or an image; quick, because a few planes are looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.gate.structure import is_noise

# Fraction of neighbors that are equal, without the most common value: at least 0.975 in 300 label maps, at most 0.74 in
# 470 images.
FLAT = 0.85
FEW = 8  # distinct values; the images have 22 or more
SMALLEST = 64  # pairs of voxels, below which their flatness says nothing
PLANES = 8
MOST = 1 << 16  # voxels looked at, so that a large scan costs no more than a small one
# Of 224 images, with up to 96% of the voxels near one end of the range, none has more than 0.9% near the other.
NEAR_END, AT_ENDS, AT_EACH_END = 0.02, 0.7, 0.02
LOW, HIGH = 0.5, 99.5  # percentiles


@dataclass(frozen=True, eq=False)
class Values:
    """Intensities of one channel, shape (X, Y, Z)."""

    array: npt.NDArray[Any]

    @cached_property
    def lowest(self) -> float:
        """Smallest intensity; NaN where any is."""
        return float(self.array.min())

    @cached_property
    def highest(self) -> float:
        """Largest intensity; NaN where any is."""
        return float(self.array.max())

    @cached_property
    def finite(self) -> float:
        """Fraction of the voxels that are finite numbers a network can be shown."""
        with np.errstate(invalid="ignore"):
            if np.isfinite([self.lowest, self.highest]).all() and max(abs(self.lowest), abs(self.highest)) < LARGEST:
                return 1.0
            return float(np.mean(np.abs(self.array) < LARGEST))

    @cached_property
    def planes(self) -> npt.NDArray[Any]:
        """Middle parts of a few planes across the axis that is slowest in memory, shape (planes, rows, columns)."""
        return self._planes(MOST)

    def _planes(self, most: int) -> npt.NDArray[Any]:
        # All planes of a thin slab or a 2D image: across another axis they would be lines.
        axis = int(np.argmin(self.array.shape)) if min(self.array.shape) <= PLANES else self._slowest
        size = self.array.shape[axis]
        places = np.unique(np.linspace(0, size - 1, PLANES + 2).round().astype(int)[1:-1])
        side = int(np.sqrt(most / len(places)))
        middle = [slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in self.array.shape]
        middle[axis] = slice(None)
        return np.ascontiguousarray(np.moveaxis(self.array[tuple(middle)].take(places, axis), axis, 0))

    @cached_property
    def percentiles(self) -> tuple[float, float, float]:
        """Low percentile, median and high percentile of finite voxels from everywhere; NaN where none is."""
        if self.sample.size == 0:
            return math.nan, math.nan, math.nan
        low, middle, high = np.percentile(self.sample, (LOW, 50, HIGH))
        return float(low), float(middle), float(high)

    @cached_property
    def sample(self) -> npt.NDArray[Any]:
        """Finite voxels from everywhere."""
        step = max(1, int(np.ceil((self.array.size / MOST) ** (1 / max(1, sum(n > 1 for n in self.array.shape))))))
        sample = self.array[::step, ::step, ::step]
        return sample[np.isfinite(sample)] if self.finite < 1.0 else sample

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Fractions of voxels that are as good as the darkest, and as the brightest of all."""
        near = NEAR_END * (self.highest - self.lowest)
        dark, bright = self.sample <= self.lowest + near, self.sample >= self.highest - near
        return float(np.mean(dark)), float(np.mean(bright))

    @property
    def brightness(self) -> float:
        """Where the median lies between the low percentile (0) and the high one (1)."""
        low, middle, high = self.percentiles
        return (middle - low) / (high - low) if high > low else 0.0

    @cached_property
    def n_distinct(self) -> int:
        """Number of distinct values in those planes."""
        return len(np.unique(self.planes))

    @property
    def _slowest(self) -> int:
        return int(np.argmax([abs(stride) for stride in self.array.strides]))

    @cached_property
    def flatness(self) -> float:
        """Of neighboring voxels of which none has the most common value, the fraction that are equal.

        Where the middle of the planes holds next to nothing else, all of each plane counts.
        """
        found = _flatness(self.planes)
        return _flatness(self._planes(self.array.size**2)) or 0.0 if found is None else found

    def has_at_most(self, count: int) -> bool:
        """Whether the whole channel has so many distinct values at most."""
        found: set[Any] = set()
        for plane in np.moveaxis(self.array, self._slowest, 0):
            found.update(np.unique(plane).tolist())
            if len(found) > count:
                return False
        return True


LARGEST = float(np.finfo(np.float32).max)


def _flatness(planes: npt.NDArray[Any]) -> float | None:
    """Fraction of equal neighbors in planes, without the most common value; None where there are next to none."""
    values, counts = np.unique(planes, return_counts=True)
    other = planes != values[counts.argmax()]
    equal = total = 0
    for axis in (1, 2):
        first = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        second = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        both = other[first] & other[second]
        total += int(np.count_nonzero(both))
        equal += int(np.count_nonzero(both & (planes[first] == planes[second])))
    return equal / total if total >= SMALLEST else None


def what_is_wrong(values: Values) -> str | None:
    """Why these intensities are no image, to follow "the scan"; None where they may be one."""
    if values.finite < 0.5:
        return "holds no intensities: most of its voxels are NaN, infinite or beyond float32"
    if values.finite < 1.0:
        return None  # the few are warned of when the scan is prepared
    if values.lowest == values.highest:
        return f"has the same intensity, {values.lowest:g}, in every voxel"
    if labels := labels_in(values):
        return labels
    if is_noise(values.array):
        return "shows nothing but noise: its voxels have nothing in common with those a few further on"
    return None


def labels_in(values: Values) -> str | None:
    """Why these intensities, which vary, are labels, to follow "the scan"; None where they may be of an image."""
    if values.n_distinct <= FEW and values.has_at_most(FEW):
        return f"has no more than {FEW} different intensities, as a mask or label map has"
    if values.flatness >= FLAT:
        return f"is a label map: {values.flatness:.0%} of its voxels have the same value as their neighbors"
    if sum(values.ends) >= AT_ENDS and min(values.ends) >= AT_EACH_END:
        return f"is a mask with soft edges: {sum(values.ends):.0%} of its voxels are as dark or as bright as any"
    return None


def no_hounsfield(values: Values) -> str | None:
    """Why these are no Hounsfield units: a CT shows air or fat, whose are below 0, and no units are so large."""
    low, _, high = values.percentiles
    if values.lowest < -10000:  # of too few voxels, perhaps, for a percentile to show it
        low = values.lowest
    if low >= 0 or high - low < 50 or low < -10000 or high > 30000:
        return f"has intensities from {low:.4g} to {high:.4g}, which are no Hounsfield units of a CT"
    return None


def no_suv(values: Values) -> str | None:
    """Why these are no standardized uptake values, which are not negative and of the order of 1."""
    low, _, high = values.percentiles
    if low < -1 or high > 500 or high < 0.05:
        return f"has intensities from {low:.4g} to {high:.4g}, which are no standardized uptake values (SUV) of a PET"
    return None


UNITS = {"HU": no_hounsfield, "SUV": no_suv}
