"""Lays out a folder as one finds it in a hospital: two scans, a corrupt one, and things that are no scans.

The scans are the two hippocampi of the MNI152 T1 template that ships inside nilearn (Fonov et al. 2011, NeuroImage 54).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from medseg.demo.dicom import write_localizer, write_series
from medseg.errors import MissingDependency
from medseg.io.files.atomic import atomic_path, write_bytes, write_text
from medseg.types import Geometry

TEMPLATE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
SIZE = (36, 52, 36)
CENTERS = {"left": (-28.0, -22.0, -14.0), "right": (28.0, -22.0, -14.0)}


@dataclass(frozen=True)
class Layout:
    """A folder of scans: what the valid ones are, and the names of files that must fail."""

    folder: Path
    valid: tuple[str, ...]
    corrupt: tuple[str, ...]


def lay_out(folder: Path) -> Layout:
    """Make the scan folder anew; raises `MissingDependency` where nilearn, which carries the template, is missing."""
    template = _template()
    left, left_grid = _crop(template, CENTERS["left"])
    right, right_grid = _crop(template, CENTERS["right"])
    if folder.exists():
        shutil.rmtree(folder)
    nifti = nib.Nifti1Image(left, left_grid.affine)
    nifti.header.set_xyzt_units("mm", "sec")
    with atomic_path(folder / "research" / "left-hippocampus.nii.gz") as part:
        nib.save(nifti, part)
    whole = (folder / "research" / "left-hippocampus.nii.gz").read_bytes()
    write_bytes(folder / "research" / "interrupted-copy.nii.gz", whole[: len(whole) // 2])
    # Exports from a scanner's console have neither extensions nor tidy folders.
    study = folder / "console-export" / "DICOM" / "0000A1"
    write_series(right, right_grid, study, description="T1 3D")
    write_localizer(study / "IM9001", grid=right_grid)
    write_text(folder / "console-export" / "notes.txt", "Second scan of the day. Call back about the first.\n")
    return Layout(
        folder,
        ("left-hippocampus.nii.gz: NIfTI", f"console-export: a DICOM series of {SIZE[2]} files without extension"),
        ("interrupted-copy.nii.gz",),
    )


def _template() -> nib.Nifti1Image:
    try:
        import nilearn.datasets
    except ImportError as error:
        raise MissingDependency(
            "the demonstration's scans come with nilearn, which is not installed",
            fix="Run: pip install nilearn",
        ) from error
    return nib.load(Path(nilearn.datasets.__file__).parent / "data" / TEMPLATE)


def _crop(template: nib.Nifti1Image, center: tuple[float, float, float]) -> tuple[np.ndarray, Geometry]:
    """Cut a box around a point in MNI mm; returns int16 voxels (X, Y, Z) and their grid."""
    whole = Geometry(template.affine, template.shape[:3])
    start = np.round(whole.to_voxel(center)).astype(int) - np.asarray(SIZE) // 2
    box = tuple(slice(int(a), int(a) + n) for a, n in zip(start, SIZE, strict=True))
    data = np.asarray(template.dataobj[box], dtype=np.float32)
    scaled = np.round(data / max(float(data.max()), 1.0) * 1000).astype(np.int16)
    affine = whole.affine.copy()
    affine[:3, 3] = whole.to_world(start)
    return scaled, Geometry(affine, SIZE)
