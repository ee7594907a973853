"""What a dataset is like: sizes, spacings, intensities and volumes.

nnU-Net's fingerprint (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): medians and percentiles over cases, and the
intensities inside the labeled foreground.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.data.dataset import Dataset
from medseg.data.examine import Examined
from medseg.data.label_moments import Moments
from medseg.data.mirror_pairs import MirrorPair, mirror_pairs
from medseg.errors import InputError
from medseg.io.files.atomic import write_text
from medseg.io.files.patient_names import public_name

log = logging.getLogger("medseg.data")
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Intensities:
    """Of the labeled foreground over all cases, for one channel."""

    mean: float
    std: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class CaseFingerprint:
    """One case.

    - `shape`, `spacing`: voxels and mm along x, y, z after orientation to RAS.
    - `cropped_shape`: voxels of the box outside which every channel is 0.
    """

    case_id: str
    shape: tuple[int, int, int]
    spacing: Triple
    cropped_shape: tuple[int, int, int]
    voxels: dict[str, int]


@dataclass(frozen=True)
class Fingerprint:
    """A dataset.

    - `mirrored`: classes that are each other's mirror image in the labels.
    """

    cases: tuple[CaseFingerprint, ...]
    intensities: tuple[Intensities, ...]
    skipped: dict[str, str]
    mirrored: tuple[MirrorPair, ...] = ()

    @property
    def spacings(self) -> Any:
        """Array of shape (cases, 3)."""
        return np.array([case.spacing for case in self.cases])

    @property
    def kept(self) -> float:
        """Median fraction of a scan that cropping to nonzero leaves."""
        return float(np.median([np.prod(c.cropped_shape) / np.prod(c.shape) for c in self.cases]))

    def shapes(self, *, cropped: bool) -> Any:
        """Array of shape (cases, 3), with or without what lies outside the nonzero box."""
        return np.array([case.cropped_shape if cropped else case.shape for case in self.cases])

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")


def take_fingerprint(data: Dataset, examined: Iterable[Examined]) -> Fingerprint:
    """Gather what was measured of each case; cases with trouble are skipped, and it is logged which and why."""
    cases: list[CaseFingerprint] = []
    samples: list[Any] = []
    skipped: dict[str, str] = {}
    moments: list[dict[str, Moments]] = []
    for one in examined:
        if one.trouble is not None:
            skipped[one.case.case_id] = one.trouble.message
            why = one.trouble.message.rstrip(".")
            for path in one.case.files:  # its name may be the patient's
                why = why.replace(str(path), path.name if path.stem == public_name(path.stem) else "its file")
            log.warning("%s skipped: %s.", public_name(one.case.case_id), why)
            continue
        assert one.shape is not None
        assert one.spacing is not None
        assert one.cropped_shape is not None
        assert one.voxels is not None
        assert one.foreground is not None
        cases.append(CaseFingerprint(one.case.case_id, one.shape, one.spacing, one.cropped_shape, one.voxels))
        samples.append(one.foreground)
        moments.append(one.moments or {})
    if not cases:
        first = next(iter(skipped.values()), "there is no labeled case")
        raise InputError(
            f"no case can be read; the first: {first}",
            where=data.folder,
            fix="`medseg audit` says what is wrong with each case.",
        )
    pooled = np.concatenate(samples, axis=1, dtype=np.float64)
    intensities = tuple(_intensities(channel) for channel in pooled)
    return Fingerprint(tuple(cases), intensities, skipped, mirror_pairs(moments))


def _intensities(values: Any) -> Intensities:
    if values.size == 0:
        return Intensities(0.0, 1.0, 0.0, 0.0, 0.0)
    low, median, high = np.percentile(values, (0.5, 50, 99.5))
    return Intensities(float(values.mean()), float(values.std()), float(median), float(low), float(high))
