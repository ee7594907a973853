"""Slices that alternate between two images or more, as no single acquisition does: what no header may have told."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# Acquisitions in between each other that are looked for, two to so many of them.
MOST = 4
FEWEST = 3  # slices of each
SAMPLE = 32  # pixels of a slice that are looked at, each way
# Of 59 real scans along up to three axes, slices of one acquisition differ from the next one by at most 0.81 times what
# they differ from the next but one, and at most 18% of them by more; of noise the figures are 1 and 50%.
REFUSED, SUSPICIOUS = 1.5, 1.1
MOSTLY = 0.9
# Of 80 real scans along three axes, the mean of every second slice lies at most 0.31 standard deviations of that above
# its neighbors'. Where slices of one MR acquisition disturb each other it may be 1 or 2; 10 is not of the patient.
STEADY, CONSTANT = 1.5, 10.0
SHORTEST = 6  # slices with neighbors
LEAST = 0.02  # offset, in standard deviations of all values
WHAT = "every {} slice shows the same image and those between show others: they are several acquisitions, mixed"
MAYBE = "Every {} slice is more like the others of its kind than like its neighbors: two acquisitions may be mixed"


def alternation(array: npt.NDArray[Any]) -> tuple[int, float]:
    """Number of images that slices alternate between, and how much more neighbors differ than slices of one image.

    (1, 0.0) where they do not alternate. The array has shape (X, Y, Z), slices along Z.
    """
    strides = [max(1, n // SAMPLE) for n in array.shape[:2]]
    slices = np.asarray(array[:: strides[0], :: strides[1]], dtype=np.float32).reshape(-1, array.shape[2])
    apart: list[npt.NDArray[np.float32]] = []
    for period in range(1, MOST + 1):
        if array.shape[2] < FEWEST * max(period, 2):
            break
        apart.append(np.abs(slices[:, period:] - slices[:, :-period]).mean(axis=0))
        if period == 1:
            continue
        count = array.shape[2] - period
        same, neighbors = apart[-1][:count], np.min([one[:count] for one in apart[:-1]], axis=0)
        differing = same + neighbors > 0
        if not differing.any() or np.mean((neighbors > same)[differing]) < MOSTLY:
            continue
        ratio = float(neighbors.sum() / max(float(same.sum()), 1e-6 * float(neighbors.sum())))
        if ratio >= SUSPICIOUS:
            return period, ratio
    steadiness = _steadiness(slices)
    if steadiness >= STEADY:
        return 2, REFUSED if steadiness >= CONSTANT else SUSPICIOUS
    return 1, 0.0


def _steadiness(slices: npt.NDArray[np.float32]) -> float:
    """How many standard deviations of it every second slice lies above what is between its neighbors; 0 where less.

    `slices` has shape (pixels, slices). Two images may differ by less than slices do that follow each other.
    """
    means = slices.mean(axis=0)
    above = means[1:-1] - (means[:-2] + means[2:]) / 2
    above[1::2] *= -1
    if len(above) < SHORTEST:
        return 0.0
    offset = abs(float(above.mean()))
    if np.mean(above * above.mean() > 0) < MOSTLY or offset < LEAST * float(slices.std()):
        return 0.0
    return offset / max(float(above.std()), 1e-6 * offset)
