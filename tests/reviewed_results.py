"""Small folders of results, as `medseg predict` leaves them, made without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import small_nifti
from small_nifti import OBLIQUE, phantom

from medseg.engine import journal
from medseg.engine.run_files import INPUTS_FILE
from medseg.io.label_table import write_table
from medseg.io.nifti import read_scan, write_labels
from medseg.review.revisions import Revision
from medseg.review.store import Store
from medseg.types import LabelClass, LabelMap, LabelTable
from medseg.types.run import CaseOutcome, ClassVolume, Volumes

CASE = "scan_0"
TABLE = LabelTable((LabelClass(1, "liver", color=(0, 158, 115)), LabelClass(300, "lesion"), LabelClass(65535, "cyst")))


def make_results(root: Path, n_cases: int = 2, *, affine=OBLIQUE, shape=(9, 11, 7)) -> Path:
    """Scans in ``root/scans`` and results in ``root/out``, cases ``scan_0``, ``scan_1``, ... by falling priority."""
    scans, out = root / "scans", root / "out"
    scans.mkdir(parents=True)
    out.mkdir()
    lines = ["case_id,state,series_uid,study_uid,path,input_sha256"]
    for number in range(n_cases):
        case_id = f"scan_{number}"
        array = phantom(shape, affine) + number
        small_nifti.save(scans / f"{case_id}.nii.gz", array, affine)
        digest = make_case(out, case_id, scans / f"{case_id}.nii.gz", n_cases - number, seed=number)
        lines.append(f"{case_id},done,,,{case_id}.nii.gz,{digest}")
    (out / "sources.csv").write_text("\n".join(lines) + "\n")
    (out / INPUTS_FILE).write_text(f'["{scans}"]')
    return out


def make_case(out: Path, case_id: str, scan_path: Path, priority: float = 1.0, *, seed: int = 0) -> str:
    """Write the results of one case, or write them again; returns the hash of its scan."""
    scan = read_scan(scan_path)
    array = np.zeros(scan.geometry.shape, np.uint16)
    array[1:5, 2:6, 1:4] = 1
    array[5, 5, 5] = 300
    array.flat[seed] = 65535
    labels = LabelMap(array, scan.geometry, TABLE)
    folder = out / case_id
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(labels, folder / "labels.nii.gz", scan.source)
    write_table(TABLE, folder / "labels.tsv")
    ml = scan.geometry.voxel_volume / 1000
    counts = [(c.name, int((array == c.value).sum())) for c in TABLE]
    volumes = Volumes(tuple(ClassVolume(name, n, n * ml) for name, n in counts))
    outcome = CaseOutcome(
        case_id,
        "done",
        scan_path.name,
        folder,
        warnings=("liver: High boundary uncertainty.",),
        volumes=volumes,
        review_priority=priority,
    )
    digest = journal.hash_files([scan_path])
    journal.finish(folder, "key", digest, outcome)
    return digest


def edited(labels: LabelMap, voxel: tuple[int, int, int], value: int) -> LabelMap:
    """The same labels with one voxel of another value."""
    array = labels.array.copy()
    array[voxel] = value
    return LabelMap(array, labels.geometry, labels.table)


def predict_again(out: Path, seed: int) -> None:
    """Write the results of the case again, as another model makes them where the seed is another."""
    make_case(out, CASE, out.parent / "scans" / f"{CASE}.nii.gz", seed=seed)


def save(store: Store, value: int = 300, *, expected: int = 0, voxel=(0, 0, 1), who: str = "Ada", **more) -> Revision:
    """Save the case's newest labels with one voxel of another value."""
    labels = edited(store.labels(CASE, reader=more.get("reader")), voxel, value)
    return store.save_labels(CASE, labels, who=who, expected=expected, origin="test", **more)


def draw(store: Store, labels: LabelMap, **how) -> Revision:
    """Save labels of the case."""
    return store.save_labels(CASE, labels, origin="test", **how)
