"""Which images of a series lie in the same direction, though scanners and programs may write it with an error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medseg.io.dicom.frame import SAME_COSINE, Frame

# Directions of one volume may turn this much from slice to slice: 0.2 degrees. Stacks that were planned in directions
# of their own differ by more.
TURNED = 3e-3
# Single images that turn by less from one to the next, 6 degrees, are one volume with wrong directions, not many.
SWEEPING = 0.1


def by_orientation(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Group by direction cosines: equal within `SAME_COSINE`, or in a chain of small turns."""
    groups: list[tuple[npt.NDArray[np.float64] | None, list[Frame]]] = []
    for frame in frames:
        cosines = None if frame.orientation is None else np.asarray(frame.orientation)
        for known, members in groups:
            if (known is None and cosines is None) or (
                known is not None and cosines is not None and np.abs(known - cosines).max() <= SAME_COSINE
            ):
                members.append(frame)
                break
        else:
            groups.append((cosines, [frame]))
    if len(groups) == 1 or not all(frame.is_placed for frame in frames):
        return [members for _, members in groups]
    directions = np.array([known for known, _ in groups])
    chains = _chains(directions, TURNED)
    if len(groups) == len(frames) and len(set(chains)) > 2 and len(set(_chains(directions, SWEEPING))) == 1:
        return [list(frames)]  # for `lay_out` to reject
    return [
        [frame for (_, members), chain in zip(groups, chains, strict=True) if chain == number for frame in members]
        for number in sorted(set(chains))
    ]


def _chains(directions: npt.NDArray[np.float64], reach: float) -> list[int]:
    """Number of the chain each direction is in: those within reach of each other, and so on."""
    from scipy.sparse.csgraph import connected_components

    near = np.abs(directions[:, None] - directions[None]).max(axis=2) <= reach
    return [int(n) for n in connected_components(near, directed=False)[1]]
