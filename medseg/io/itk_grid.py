"""Holds the grid that ITK made of a NRRD or MetaImage header against the numbers in the header's text.

ITK's readers take what they cannot read for something else, without a word: `10,5` for 10, a number that is missing
for 0, a direction that is missing for voxels of 1 mm. A mask would then lie in the wrong place.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.io.itk_header import META_FIELDS, ItkFormat, TextHeader

Numbers = npt.NDArray[np.float64]

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
VECTOR = re.compile(r"\s*(none|\([^()]*\))")
# The spaces ITK turns into its own LPS, and the signs it does so with. It takes every other one, and none, for LPS as
# well, which may be wrong.
SPACES = {
    "left-posterior-superior": (1, 1), "lps": (1, 1), "right-anterior-superior": (-1, -1), "ras": (-1, -1),
    "left-anterior-superior": (1, -1), "las": (1, -1),
}  # fmt: skip
# Kinds of axes that ITK takes for axes of the grid; every other kind is one of components.
GRID_KINDS = {"domain", "space", "time", "???", "none"}
# How far ITK's numbers may be from the text's, as a fraction of the largest, and how long directions of MetaImage are.
SLACK = 1e-6
NO_UNIT = 0.01


@dataclass(frozen=True)
class StatedGrid:
    """The grid that a header's text gives."""

    affine: Numbers  # of voxels in LPS, shape (4, 4)
    dimension: int
    warnings: tuple[str, ...]

    def check(self, affine: Numbers, dimension: int, where: Path) -> None:
        """Raise unless ITK's grid is this one."""
        slack = SLACK * np.maximum(np.linalg.norm(self.affine, axis=0), 1e-9)
        if dimension != self.dimension or (np.abs(self.affine - affine) > slack).any():
            raise InputError(
                "the numbers in its header that say where it lies are not what its reader takes them for",
                where=where,
                fix="Save it again with the tool that made it.",
            )


def stated_grid(header: TextHeader, kind: ItkFormat) -> StatedGrid:
    """Read the grid from the text; raises where numbers are missing, too many or none."""
    return _of_nrrd(header) if kind == "nrrd" else _of_meta(header)


def _of_nrrd(header: TextHeader) -> StatedGrid:
    signs = np.array([*SPACES[header.fields["space"].lower()], 1.0])
    count = len(header.fields["sizes"].split())
    text = header.fields.get("space directions")
    if text is None:
        raise InputError(
            "its header gives no space directions, so how large its voxels are and how they lie is not known",
            where=header.path,
            fix="Save it again with the tool that made it.",
        )
    vectors = VECTOR.findall(text)
    kinds = header.fields.get("kinds", "").lower().split() or ["domain"] * count
    if VECTOR.sub("", text).strip() or len(vectors) != count or len(kinds) != count:
        raise _not_numbers(header, "space directions", text, f"a direction or 'none' for each of its {count} axes")
    of_grid = [vector for vector, name in zip(vectors, kinds, strict=True) if name in GRID_KINDS]
    if "none" in of_grid or len(of_grid) != 3:
        raise _not_numbers(header, "space directions", text, "directions for the 3 axes of a scan")
    affine = np.eye(4)
    for axis, vector in enumerate(of_grid):
        parts = vector.strip("()").split(",")
        affine[:3, axis] = signs * _numbers(header, "space directions", parts, text, 3, "3 numbers for each direction")
    if (origin := header.fields.get("space origin")) is None:
        return StatedGrid(affine, 3, ("The header gives no space origin; (0,0,0) was taken",))
    parts = origin[1:-1].split(",") if origin.startswith("(") and origin.endswith(")") else []
    affine[:3, 3] = signs * _numbers(header, "space origin", parts, origin, 3, "3 numbers")
    return StatedGrid(affine, 3, ())


def _of_meta(header: TextHeader) -> StatedGrid:
    n, warnings = len(header.fields["dimsize"].split()), []
    if (stated := header.fields.get("ndims", "")) != str(n):
        raise _not_numbers(header, "NDims", stated, f"{n}, the number of its sizes,")
    spacing, directions, offset = np.ones(n), np.eye(n), np.zeros(n)
    # ElementSize is taken where there is no ElementSpacing.
    name = "ElementSpacing" if "elementspacing" in header.fields else "ElementSize"
    if (text := header.fields.get(name.lower())) is not None:
        spacing = _numbers(header, name, text.split(), text, n, f"{n} numbers above 0")
        if min(spacing) <= 0:
            raise _not_numbers(header, name, text, f"{n} numbers above 0")
    else:
        warnings.append("The header gives no ElementSpacing; MetaImage's default was taken, 1 mm")
    if (field := _written(header, "TransformMatrix")) is not None:
        name, text = field
        directions = _numbers(header, name, text.split(), text, n * n, f"{n * n} numbers").reshape(n, n).T
        if (np.abs(np.linalg.norm(directions, axis=0) - 1) > NO_UNIT).any():
            raise _not_numbers(header, name, text, f"{n} directions of length 1")
    else:
        warnings.append(
            "The header names no directions; MetaImage's default was taken, x to the left, y to the back, z up"
        )
    if (field := _written(header, "Offset")) is not None:
        name, text = field
        offset = _numbers(header, name, text.split(), text, n, f"{n} numbers")
    else:
        warnings.append("The header gives no Offset; MetaImage's default was taken, 0 0 0")
    affine, spatial = np.eye(4), min(n, 3)
    affine[:spatial, :spatial] = (directions * spacing)[:spatial, :spatial]
    affine[:spatial, 3] = offset[:spatial]
    return StatedGrid(affine, n, tuple(warnings))


def _written(header: TextHeader, field: str) -> tuple[str, str] | None:
    """Name and text of a field that MetaImage knows under several names; a header has one of them, or none."""
    names = next(names for names in META_FIELDS if field in names)
    return next(((name, header.fields[name.lower()]) for name in names if name.lower() in header.fields), None)


def _numbers(header: TextHeader, field: str, parts: list[str], text: str, count: int, wanted: str) -> Numbers:
    parts = [part.strip() for part in parts]
    if len(parts) != count or not all(NUMBER.fullmatch(part) and math.isfinite(float(part)) for part in parts):
        raise _not_numbers(header, field, text, wanted)
    return np.array([float(part) for part in parts])


def _not_numbers(header: TextHeader, field: str, text: str, wanted: str) -> InputError:
    shown = text if len(text) <= 60 else f"{text[:60]}..."
    return InputError(
        f"its header must give {wanted} as {field}, not '{shown}'",
        where=header.path,
        fix="Correct the line, with points in decimal numbers, or save it again with the tool that made it.",
    )
