"""Lists what may be an image or a label under a folder: files of image formats, and folders that hold DICOM slices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.io.dicom.header import lenient, starts_as_dicom
from medseg.io.dicom.inflated import read_dicom
from medseg.io.files.case_id import stem

SUFFIXES = (
    ".nii.gz", ".nii", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp",
    ".gif", ".ppm", ".pgm", ".npy", ".npz", ".h5", ".hdf5",
)  # fmt: skip
# Files beside images that are never one themselves; of all other names without a suffix above, the first bytes decide.
TEXT = (".csv", ".tsv", ".txt", ".json", ".xml", ".yaml", ".yml", ".md", ".cfg", ".xlsx", ".pdf", ".bval", ".bvec")
NOT_IMAGES = {"RTSTRUCT", "SEG", "SR", "PR", "KO", "RTPLAN", "RTDOSE", "REG"}
OF_SYSTEMS = {"__MACOSX", "desktop.ini", "Thumbs.db", "$RECYCLE.BIN"}


@dataclass(frozen=True)
class Unit:
    """A file, or a folder of DICOM slices.

    - `folders`: names of the folders it lies in, from the dataset's down, without those that all units share.
    - `name`: its name without suffix.
    """

    path: Path
    folders: tuple[str, ...]
    name: str
    kind: Literal["file", "dicom"] = "file"


def list_units(root: Path) -> tuple[Unit, ...]:
    """Units under a folder, in order; hidden files, and what macOS and Windows leave, are passed over."""
    units: list[Unit] = []
    for name, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in OF_SYSTEMS)
        here = Path(name)
        inside = here.relative_to(root).parts
        if len(inside) > 12:  # a link that leads in circles
            folders.clear()
        plain = sorted(f for f in files if not f.startswith(".") and f not in OF_SYSTEMS)
        known = [f for f in plain if f.lower().endswith(SUFFIXES)]
        units += [Unit(here / f, inside, stem(f)) for f in known]
        if not known and inside and _is_dicom_folder(here, plain):
            units.append(Unit(here, inside[:-1], inside[-1], "dicom"))
    shared = 0
    while units and len({unit.folders[: shared + 1] for unit in units}) == 1 and len(units[0].folders) > shared:
        shared += 1
    return tuple(Unit(u.path, u.folders[shared:], u.name, u.kind) for u in units)


def _is_dicom_folder(folder: Path, files: Sequence[str]) -> bool:
    """Whether the first files are DICOM, and images: structures and segmentations are no slices."""
    likely = [f for f in files if not f.lower().endswith(TEXT)][:3]
    return bool(likely) and all(starts_as_dicom(folder / f) for f in likely) and _is_image(folder / likely[0])


def _is_image(path: Path) -> bool:
    try:
        with lenient():
            header = read_dicom(path, stop_before_pixels=True, specific_tags=["Modality"], force=True)
    except Exception:  # pydicom raises nearly anything on damaged files
        return False
    return str(header.get("Modality") or "") not in NOT_IMAGES
