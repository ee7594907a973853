"""What a request for a suggestion holds, checked: a class, what is marked for and against it, what is drawn of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.config.safe_json import parse_json
from medseg.errors import InputError
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Present
from medseg.review.marks import Marks

LARGEST_REQUEST = 1 << 20  # bytes
MOST_MARKS = 20_000
LARGEST_INDEX = 1 << 20
MOST_STROKES = 1000
LARGEST_BOX = 1 << 26  # voxels
FIX = "See docs/reference/review-api.md."

Voxels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MarksRequest:
    """The class that is marked, by its value, and what is marked.

    - `interactions`: clicks and scribbles, the oldest first; without any in the request, `outside` and `inside` are one
      each, in this order.
    - `present`: what is drawn of the class; None where the request does not say so.
    """

    value: int
    inside: Voxels
    outside: Voxels
    interactions: tuple[Interaction, ...]
    present: Present | None = None

    def trail(self) -> dict[str, Any]:
        """What the audit trail keeps: how many voxels are marked, and of the newest mark which kind it is and where.

        Indices are of the grid that is sent, axes nearest RAS.
        """
        newest = self.interactions[-1]
        mark = {"outside": newest.is_outside, "voxels": len(newest.voxels), "first": newest.voxels[0].tolist()}
        return {"inside": len(self.inside), "outside": len(self.outside), "newest": mark}

    def check_within(self, shape: tuple[int, ...]) -> None:
        """Refuse marks, or a box of what is drawn, that lie outside a scan.

        Raises
        ------
        InputError
            When they do.
        """
        if any((one.voxels >= np.array(shape)).any() for one in self.interactions):
            raise InputError("a mark lies outside the scan", fix=f"Give voxels within {tuple(shape)}.")
        if self.present is not None and (np.array(self.present.low) + self.present.mask.shape > shape).any():
            raise InputError("the box of the present mask lies outside the scan", fix="Give one within the scan.")


def read_marks(body: bytes, most: int) -> MarksRequest:
    """Read ``{"class": 1, "inside": [[i, j, k], ...], "outside": [...]}``; indices of what GET image sends.

    Optional: ``strokes``, a list of ``{"outside": true, "voxels": [...]}``, the oldest first; ``present``, the class as
    it is drawn within a box, ``{"low": [i, j, k], "size": [...], "runs": [...]}``, of `most` voxels, those of the scan.
    """
    try:
        given = parse_json(body)
        value, inside, outside = given["class"], given["inside"], given.get("outside", [])
        strokes, present = given.get("strokes", []), given.get("present")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("marks need class, inside and outside, as JSON", fix=FIX) from error
    if not _is_index(value):
        raise InputError("class must be the value of a class", fix=FIX)
    marked = _voxels(inside), _voxels(outside)
    interactions = _strokes(strokes) or tuple(
        Interaction(voxels, is_outside)
        for voxels, is_outside in zip(marked[::-1], (True, False), strict=True)
        if len(voxels)
    )
    if not interactions:
        raise InputError("nothing is marked as belonging to the class", fix="Mark at least one voxel.")
    if not strokes and len(inside):
        Marks(*marked)  # raises where a voxel is marked as both: of these, none is the newest
    return MarksRequest(value, *marked, interactions, None if present is None else _present(present, most))


def _strokes(given: Any) -> tuple[Interaction, ...]:
    if not isinstance(given, list) or len(given) > MOST_STROKES:
        raise InputError(f"strokes must be a list of {MOST_STROKES:,} at most", fix=FIX)
    found = []
    for one in given:
        if not isinstance(one, dict) or not isinstance(one.get("outside"), bool):
            raise InputError("a stroke needs outside, true or false, and voxels", fix=FIX)
        voxels = _voxels(one.get("voxels"))
        if len(voxels):
            found.append(Interaction(voxels, one["outside"]))
    if sum(len(one.voxels) for one in found) > 2 * MOST_MARKS:
        raise InputError(f"strokes must have {2 * MOST_MARKS:,} voxels at most", fix=FIX)
    return tuple(found)


def _present(given: Any, most: int) -> Present:
    """Unpack runs outside and inside in turn, the first axis fastest."""
    if not isinstance(given, dict):
        raise InputError("present must be a box with low, size and runs", fix=FIX)
    low, size, runs = given.get("low"), given.get("size"), given.get("runs")
    for corner in (low, size):
        if not isinstance(corner, list) or len(corner) != 3 or not all(_is_index(n) for n in corner):
            raise InputError("the box of present needs low and size, three numbers each", fix=FIX)
    assert isinstance(low, list)
    assert isinstance(size, list)
    if not isinstance(runs, list) or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in runs):
        raise InputError("the runs of present must be a list of lengths", fix=FIX)
    if not 0 < math.prod(size) <= min(most, LARGEST_BOX) or sum(runs) != math.prod(size):
        raise InputError("the runs of present do not fill its box", fix=FIX)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return Present((low[0], low[1], low[2]), flat.reshape(size, order="F"))


def _voxels(given: Any) -> Voxels:
    if not isinstance(given, list) or len(given) > MOST_MARKS:
        raise InputError(f"marks must be a list of {MOST_MARKS:,} voxels at most", fix=FIX)
    for voxel in given:
        if not isinstance(voxel, list) or len(voxel) != 3 or not all(_is_index(index) for index in voxel):
            raise InputError("a mark lies outside the scan, or is no voxel", fix="Give [i, j, k] of each.")
    return np.array(given, np.int64).reshape(-1, 3)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_INDEX
