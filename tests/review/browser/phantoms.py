"""Results as `medseg predict` leaves them, of phantoms in any of 96 orientations, for a page to show."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.orientations import apply_orientation, inv_ornt_aff

from medseg.engine.journal import hash_files
from medseg.io.label_table import write_table
from medseg.io.nifti import write_labels
from medseg.io.read import load_scan
from medseg.types import LabelClass, LabelMap, LabelTable, Scan

SHAPE, SPACING = (40, 52, 28), (1.0, 1.3, 2.2)
# Three bright cubes that share no slice: each is clicked in the plane of the same number.
MARKS = ((27, 14, 18), (12, 36, 9), (19, 25, 22))
BRIGHT = 1000
TABLE = LabelTable(tuple(LabelClass(n, f"class {n}", color=(40 * n, 200, 90)) for n in (1, 2, 3)))


@dataclass(frozen=True)
class Phantom:
    """A scan as a file stores it, its labels, and where the marks are in the file's own order."""

    name: str
    scan: npt.NDArray[np.int16]
    labels: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]
    marks: tuple[tuple[int, ...], ...]


def phantoms() -> tuple[Phantom, ...]:
    """One head in all 48 orders of axes, straight and oblique."""
    rotation = np.linalg.multi_dot([_turn(0, 14), _turn(1, -17), _turn(2, 22)])
    return tuple(
        _phantom(f"{kind}-{n:02d}", turned, axes, signs)
        for kind, turned in (("straight", np.eye(3)), ("oblique", rotation))
        for n, (axes, signs) in enumerate(
            itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
        )
    )


def _turn(axis: int, degrees: float) -> npt.NDArray[np.float64]:
    i, j = ((1, 2), (0, 2), (0, 1))[axis]
    turned = np.eye(3)
    turned[[i, j], [i, j]] = np.cos(np.deg2rad(degrees))
    turned[i, j], turned[j, i] = -np.sin(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return turned


def _phantom(name: str, rotation: npt.NDArray[np.float64], axes: Sequence[int], signs: Sequence[int]) -> Phantom:
    scan = np.full(SHAPE, 40, np.int16)
    scan += np.random.default_rng(1).integers(0, 10, SHAPE, dtype=np.int16)
    for mark in MARKS:
        scan[tuple(slice(i - 1, i + 2) for i in mark)] = BRIGHT
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:14, 30:40, 5:12], labels[30:36, 30:36, 10:20], labels[8, 30, 5] = 1, 2, 3
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * SPACING, (-22, -30, -25)
    order = np.array([*zip(axes, signs, strict=True)], float)
    stored = affine @ inv_ornt_aff(order, SHAPE)
    back = np.linalg.inv(stored) @ affine
    marks = tuple(tuple(int(i) for i in np.rint(back @ [*mark, 1])[:3]) for mark in MARKS)
    return Phantom(name, apply_orientation(scan, order), apply_orientation(labels, order), stored, marks)


def _as_nifti(folder: Path, phantom: Phantom) -> Path:
    file = folder / f"{phantom.name}.nii.gz"
    nib.save(nib.Nifti1Image(phantom.scan, phantom.affine), file)
    return file


def write_results(
    folder: Path,
    made: Sequence[Phantom],
    table: LabelTable = TABLE,
    more: Callable[[Path, Scan], None] = lambda case, scan: None,
    write_scan: Callable[[Path, Phantom], Path] = _as_nifti,
    **status: Any,
) -> tuple[Path, Path]:
    """Write scans and the results of them; return the folder of results and that of the scans.

    `more` writes further outputs of a case, `write_scan` the scan into a folder; it returns the file.
    """
    results, scans = folder / "results", folder / "scans"
    scans.mkdir(parents=True)
    for place, phantom in enumerate(made):
        file = write_scan(scans, phantom)
        case = results / phantom.name
        case.mkdir(parents=True)
        scan = load_scan(file)
        write_labels(LabelMap(phantom.labels, scan.geometry, table), case / "labels.nii.gz", scan.source)
        write_table(table, case / "labels.tsv")
        more(case, scan)
        outputs = sorted(file.name for file in case.iterdir())
        content = {
            "format": 2, "case_id": phantom.name, "state": "done", "source": file.name, "error": None, "fix": None,
            "warnings": [], "notes": [], "review_priority": round(0.9 - 0.1 * place, 2),
            "computed": {}, "read_back": {}, "volumes": {}, "input_sha256": hash_files([file]), "key": "k",
            "outputs": {name: _hash(case / name) for name in outputs}, **status,
        }  # fmt: skip
        (case / "status.json").write_text(json.dumps(content))
    return results, scans


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
