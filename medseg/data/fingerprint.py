"""What a dataset is like: sizes, spacings, intensities and volumes, read once from every case.

nnU-Net's fingerprint (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): medians and percentiles over cases, and the
intensities inside the labelled foreground.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_case
from medseg.errors import InputError, MedsegError
from medseg.io.atomic import write_text
from medseg.prepare.crop import Box, nonzero_box
from medseg.prepare.orient import nearest_ras

__all__ = ["CaseFingerprint", "Fingerprint", "Intensities", "take_fingerprint"]

log = logging.getLogger("medseg.data")

Triple = tuple[float, float, float]
# Foreground voxels looked at in each case, as in nnU-Net.
VOXELS_A_CASE = 10_000


@dataclass(frozen=True)
class Intensities:
    """Of the labelled foreground over all cases, for one channel."""

    mean: float
    std: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class CaseFingerprint:
    """One case.

    Parameters
    ----------
    case_id : str
        Its name.
    shape, spacing : tuple
        Voxels and mm along x, y, z after orientation to RAS.
    cropped_shape : tuple of int
        Voxels of the box outside which every channel is 0.
    voxels : dict of str to int
        Of each class in the reference.
    """

    case_id: str
    shape: tuple[int, int, int]
    spacing: Triple
    cropped_shape: tuple[int, int, int]
    voxels: dict[str, int]


@dataclass(frozen=True)
class Fingerprint:
    """A dataset.

    Parameters
    ----------
    cases : tuple of CaseFingerprint
        Those that could be read.
    intensities : tuple of Intensities
        One for each channel.
    left_out : dict of str to str
        Why other cases could not be read.
    """

    cases: tuple[CaseFingerprint, ...]
    intensities: tuple[Intensities, ...]
    left_out: dict[str, str]

    @property
    def spacings(self) -> Any:
        """Array of shape (cases, 3)."""
        return np.array([case.spacing for case in self.cases])

    @property
    def kept(self) -> float:
        """Median share of a scan that cropping to nonzero leaves."""
        return float(np.median([np.prod(c.cropped_shape) / np.prod(c.shape) for c in self.cases]))

    def shapes(self, *, cropped: bool) -> Any:
        """Array of shape (cases, 3), with or without what lies outside the nonzero box."""
        return np.array([case.cropped_shape if cropped else case.shape for case in self.cases])

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")


def take_fingerprint(data: Dataset, cases: Sequence[DatasetCase] | None = None) -> Fingerprint:
    """Read every labelled case once.

    Parameters
    ----------
    data : Dataset
        What to look at.
    cases : sequence of DatasetCase, optional
        Those of its labelled cases to look at; all by default.

    Raises
    ------
    InputError
        When no case can be read.
    """
    seen: list[CaseFingerprint] = []
    samples: list[Any] = []
    left_out: dict[str, str] = {}
    for case in data.labelled if cases is None else cases:
        try:
            one, sample = _look(data, case)
        except MedsegError as error:
            left_out[case.case_id] = str(error)
            continue
        seen.append(one)
        samples.append(sample)
    if not seen:
        first = next(iter(left_out.values()), "there is no labelled case")
        raise InputError(f"no case can be read; the first: {first}", where=data.folder)
    pooled = np.concatenate(samples, axis=1)
    return Fingerprint(tuple(seen), tuple(_intensities(channel) for channel in pooled), left_out)


def _look(data: Dataset, case: DatasetCase) -> tuple[CaseFingerprint, Any]:
    """One case, and foreground intensities of shape (channels, n)."""
    scan, reference = read_case(data, case)
    order = nearest_ras(scan.geometry)
    shape: tuple[int, int, int] = order.select(scan.geometry.shape)
    box: Box = nonzero_box(order.apply(scan.array))
    counts = np.bincount(reference.array.ravel(), minlength=data.table.largest + 1)
    foreground = np.flatnonzero(np.isin(reference.array, [c.value for c in data.table]))
    if len(foreground) > VOXELS_A_CASE:
        foreground = foreground[:: len(foreground) // VOXELS_A_CASE][:VOXELS_A_CASE]
    sample = scan.array.reshape(scan.channels, -1)[:, foreground].astype(np.float64)
    voxels = {c.name: int(counts[c.value]) for c in data.table}
    found = CaseFingerprint(case.case_id, shape, order.select(scan.geometry.spacing), box.shape, voxels)
    return found, sample[:, np.isfinite(sample).all(axis=0)]


def _intensities(values: Any) -> Intensities:
    if values.size == 0:
        return Intensities(0.0, 1.0, 0.0, 0.0, 0.0)
    low, median, high = np.percentile(values, (0.5, 50, 99.5))
    return Intensities(float(values.mean()), float(values.std()), float(median), float(low), float(high))
