"""What a request for a suggestion holds, checked: the value of a class, and the voxels marked for and against it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from medseg.errors import InputError
from medseg.review.marks import Marks

LARGEST_REQUEST = 1 << 20  # bytes
MOST_MARKS = 20_000
LARGEST_INDEX = 1 << 20
FIX = "See docs/reference/review-api.md."


@dataclass(frozen=True)
class MarksRequest:
    """The class that is marked, by its value, and the marks."""

    value: int
    marks: Marks


def read_marks(body: bytes) -> MarksRequest:
    """Read ``{"class": 1, "inside": [[i, j, k], ...], "outside": [...]}``; indices of what GET image sends."""
    try:
        given = json.loads(body)
        value, inside, outside = given["class"], given["inside"], given.get("outside", [])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("marks need class, inside and outside, as JSON", fix=FIX) from error
    if not _is_index(value):
        raise InputError("class must be the value of a class", fix=FIX)
    return MarksRequest(value, Marks(_voxels(inside), _voxels(outside)))


def _voxels(given: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    if not isinstance(given, list) or len(given) > MOST_MARKS:
        raise InputError(f"marks must be a list of {MOST_MARKS:,} voxels at most", fix=FIX)
    for voxel in given:
        if not isinstance(voxel, list) or len(voxel) != 3 or not all(_is_index(index) for index in voxel):
            raise InputError("a mark lies outside the scan, or is no voxel", fix="Give [i, j, k] of each.")
    return np.array(given, np.int64).reshape(-1, 3)


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_INDEX
