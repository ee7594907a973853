"""Labels that another program saved: what they say of where they belong, and their voxels on a case's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.errors import GeometryMismatch, InputError, MedsegError
from medseg.io.dicom.inflated import read_dicom
from medseg.io.discover import survey
from medseg.io.files.walk import real
from medseg.io.read import read_labels
from medseg.io.recognize import recognize
from medseg.isolation.boundary import insist
from medseg.prepare.regrid import reaches_beyond, regrid
from medseg.review.match import Incoming, plain_names
from medseg.review.store import Store
from medseg.types import Geometry, LabelMap

Kind = Literal["nifti", "nrrd", "meta", "SEG", "RTSTRUCT"]
TITLES: dict[str, str] = {"nifti": "NIfTI", "nrrd": "NRRD", "meta": "MetaImage", "SEG": "DICOM SEG"}


@dataclass(frozen=True, eq=False)
class LabelsFile:
    """A file of labels that has not been matched with a case."""

    path: Path
    kind: Kind
    series_uids: tuple[str, ...] = ()  # of DICOM

    @property
    def title(self) -> str:
        """What the format is called."""
        return TITLES.get(self.kind, self.kind)

    def look(self) -> Incoming:
        """Read what it says of where it belongs."""
        geometry: Geometry | None
        if self.kind == "RTSTRUCT":
            geometry = None
        elif self.kind == "SEG":
            geometry = _slab(self.path)
        else:
            geometry = read_labels(self.path).geometry
        return Incoming(plain_names(self.path), self.series_uids, geometry)

    def read(self, store: Store, case_id: str, grid: Geometry) -> LabelMap:
        """Read the labels onto a case's grid, with the names of their segments.

        Raises
        ------
        GeometryMismatch
            When they are not on that grid, or reach beyond it; nothing is resampled, and nothing cut off.
        FormatLimitation
            When segments overlap.
        """
        scan = _dicom_file(store, case_id) if self.kind in ("RTSTRUCT", "SEG") else None
        if scan is not None:
            from medseg.io.dicom_results.patient import check_patient

            check_patient(self.path, scan)
        if self.kind == "RTSTRUCT":
            from medseg.io.dicom_results.rtstruct import read_rtstruct

            return read_rtstruct(self.path, grid, frame=None if scan is None else _frame(scan), is_complete=True)
        if self.kind == "SEG":
            from medseg.io.dicom_results.read_seg import read_seg

            labels = read_seg(self.path, grid)
        else:
            labels = read_labels(self.path)
        if reaches_beyond(labels.geometry, grid):
            shapes = [" x ".join(map(str, shape)) for shape in (labels.geometry.shape, grid.shape)]
            raise GeometryMismatch(
                f"its grid of {shapes[0]} voxels reaches beyond the scan, which has {shapes[1]}",
                where=self.path,
                fix="Save it on the scan's own grid, or a part of it.",
            )
        return regrid(labels, grid, where=self.path)


def find_labels(paths: Sequence[Path]) -> tuple[list[LabelsFile], list[tuple[Path, str]]]:
    """Find every file of labels below some files and folders; return them, and each other one with the reason.

    DICOM images are no labels; below a folder they are passed over, and refused where they were named.
    """
    from medseg.io.dicom_results.label_objects import look

    found = survey(paths)
    files: list[LabelsFile] = []
    refused: list[tuple[Path, str]] = []
    named = {real(path) for path in paths if path.is_file()}
    for scan in found.discovery.found:
        path = scan.files[0]
        if scan.format == "dicom":
            if real(path) in named:
                refused.append((path, "it is a scan, and no labels. Give the DICOM SEG or RTSTRUCT drawn on it."))
        elif scan.format in ("image2d", "arrays"):
            what = "2D images" if scan.format == "image2d" else "plain arrays"
            refused.append((path, f"{what} do not say where they lie. Give NIfTI, NRRD, MetaImage or DICOM."))
        else:
            files.append(LabelsFile(path, recognized_kind(path)))
    for path in found.label_objects:
        try:
            one = insist(look, path)
        except MedsegError as error:
            refused.append((path, str(error)))
            continue
        series = one.made_of if one.drawn_on is None else one.drawn_on
        files.append(LabelsFile(path, "SEG" if one.drawn_on is None else "RTSTRUCT", tuple(dict.fromkeys(series))))
    known = {*found.label_objects, *found.label_objects.values()}
    for left in found.discovery.skipped:
        if (left.corrupt or real(left.path) in named) and left.path not in known:
            refused.append((left.path, str(InputError(left.reason, fix=left.fix))))
    return sorted(files, key=lambda file: file.path), refused


def recognized_kind(path: Path) -> Kind:
    """Return the kind of a file that is known to hold a volume."""
    kind = recognize(path).kind
    return "nrrd" if kind == "nrrd" else "meta" if kind == "meta" else "nifti"


def _slab(path: Path) -> Geometry | None:
    """Grid of a SEG's own frames; None where the file alone does not say how far its slices are apart."""
    from medseg.io.dicom_results.seg_frames import open_seg

    try:
        return open_seg(path).geometry
    except MedsegError:
        return None


def _dicom_file(store: Store, case_id: str) -> Path | None:
    """First file of a case's scan; None where it is not DICOM, or not at hand."""
    try:
        scan = store.scan(case_id)
    except MedsegError:
        return None
    return scan.files[0] if scan.format == "dicom" and scan.files[0].is_file() else None


def _frame(scan: Path) -> str | None:
    """Frame of reference of a DICOM file; None where it states none, or cannot be read."""
    try:
        header = read_dicom(scan, stop_before_pixels=True, specific_tags=["FrameOfReferenceUID"])
    except (MedsegError, OSError):
        return None
    return str(header.get("FrameOfReferenceUID") or "") or None
