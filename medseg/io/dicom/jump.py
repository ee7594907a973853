"""A place where slices above look like another patient's than those below, of which no header may speak."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FEWEST = 3  # slices on either side
SAMPLE = 48  # pixels of a slice that are looked at, each way
# Of 213 stacks of real volumes along their axes, and 852 of every second to eighth slice of these, none has a warning;
# of parts of two patients, one above the other, 65 of 66 pairs of CT and 52 of 66 of MR have one.
# By benchmarks/bench_jump.py.
CLEARLY = 3.0
EMPTY = 0.05  # of the deviation of all values; a slice that varies less shows nothing
JUMP = (
    "Slices {} and {} differ {:.3g} times as much as any other two neighbors: images of two patients or acquisitions "
    "may lie one above the other"
)


def jump_warnings(array: npt.NDArray[Any]) -> tuple[str, ...]:
    """Warn where the slices of a volume, shape (X, Y, Z) with slices along Z, differ far more than anywhere else."""
    if array.shape[2] < 2 * FEWEST:
        return ()
    strides = [max(1, n // SAMPLE) for n in array.shape[:2]]
    slices = np.asarray(array[:: strides[0], :: strides[1]], dtype=np.float32).reshape(-1, array.shape[2])
    apart = np.abs(np.diff(slices, axis=1)).mean(axis=0)
    place = int(apart.argmax())
    next_most = float(np.delete(apart, place).max())
    is_within = FEWEST - 1 <= place < len(apart) - FEWEST + 1
    shows = slices[:, place : place + 2].std(axis=0).min() > EMPTY * slices.std()
    if not (is_within and shows and apart[place] >= CLEARLY * next_most > 0):
        return ()
    return (JUMP.format(place + 1, place + 2, float(apart[place]) / next_most),)
