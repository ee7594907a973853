"""What is in some files and folders, and whether each volume can be trusted: a verdict for every one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from medseg.draw.thumbnail import thumbnail
from medseg.errors import MedsegError
from medseg.io.discover import discover
from medseg.io.read import read_scan
from medseg.types.geometry import Geometry
from medseg.types.scan import Discovery, FoundScan, Scan, Skipped
from medseg.types.wanted import SeriesWanted

__all__ = ["Inspection", "VolumeReport", "inspect"]

THUMBNAIL = 64


@dataclass(frozen=True)
class VolumeReport:
    """What is known of one volume.

    Parameters
    ----------
    found : FoundScan
        Where it is.
    geometry : Geometry, optional
        Where it lies; None where it was refused.
    reason, fix : str, optional
        Why it was refused, and what to do about it; None for a good one.
    notes : tuple of str
        Decisions taken while reading.
    channels : int
        Number of channels.
    value_type : str
        Of the voxels, for instance ``"int16"``.
    values : tuple of float, optional
        Smallest and largest.
    modality : str, optional
        DICOM's word.
    study : str
        Hash that volumes of one DICOM study share; empty for other formats.
    series : str
        The series' number and description, for DICOM.
    body_part : str
        As the header says.
    thumbnail : Image, optional
        The middle slice, in true proportions, head and front up.
    fit : str
        Whether a model would take it of its study, and why; empty where no model was named.
    """

    found: FoundScan
    geometry: Geometry | None = None
    reason: str | None = None
    fix: str | None = None
    notes: tuple[str, ...] = ()
    channels: int = 1
    value_type: str = ""
    values: tuple[float, float] | None = None
    modality: str | None = None
    study: str = ""
    series: str = ""
    body_part: str = ""
    thumbnail: Image.Image | None = None
    fit: str = ""

    @property
    def is_good(self) -> bool:
        """Whether every voxel was read and lies where the header says."""
        return self.reason is None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        grid = self.geometry
        return {
            "case_id": self.found.case_id,
            "format": self.found.format,
            "files": [str(path) for path in self.found.files],
            "description": self.found.description,
            "verdict": "good" if self.is_good else "refused",
            "reason": self.reason,
            "fix": self.fix,
            "notes": list(self.notes),
            "modality": self.modality,
            "study": self.study or None,
            "series": self.series or None,
            "series_uid": self.found.series_uid,
            "body_part": self.body_part or None,
            "shape": None if grid is None else list(grid.shape),
            "spacing_mm": None if grid is None else [round(s, 6) for s in grid.spacing],
            "orientation": None if grid is None else grid.orientation,
            "affine": None if grid is None else grid.affine.tolist(),
            "channels": self.channels,
            "value_type": self.value_type or None,
            "fit": self.fit or None,
            "values": None if self.values is None else list(self.values),
        }


@dataclass(frozen=True)
class Inspection:
    """Every volume, and every file that is part of none.

    Parameters
    ----------
    volumes : tuple of VolumeReport
        In the order of discovery.
    skipped : tuple of Skipped
        The other files.
    """

    volumes: tuple[VolumeReport, ...]
    skipped: tuple[Skipped, ...]

    @property
    def exit_code(self) -> int:
        """0 where all is good, 3 where part of it is not, 4 where nothing is."""
        bad = [v for v in self.volumes if not v.is_good] + [left for left in self.skipped if left.broken]
        if not any(v.is_good for v in self.volumes):
            return 4
        return 3 if bad else 0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "volumes": [volume.as_json() for volume in self.volumes],
            "skipped": [
                {"path": str(left.path), "reason": left.reason, "fix": left.fix, "broken": left.broken}
                for left in self.skipped
            ],
        }


def inspect(
    inputs: Sequence[Path],
    *,
    headers_only: bool = False,
    allow_uneven: bool = False,
    wanted: SeriesWanted | None = None,
    picture_size: int = THUMBNAIL,
) -> Inspection:
    """Find every volume and read it, so that a good verdict means that it can be read to its last voxel.

    Parameters
    ----------
    inputs : sequence of Path
        Files and folders, mixed.
    headers_only : bool
        Trust the voxels without reading them: quick, and no proof against truncated files.
    allow_uneven : bool
        As for `medseg.io.read.read_scan`.
    wanted : SeriesWanted, optional
        What a model's card wants, to say of each DICOM volume whether it would be taken.
    picture_size : int
        Longer side of the thumbnails, pixels.

    Raises
    ------
    UsageError
        When an input does not exist.
    """
    discovery: Discovery = discover(inputs)
    reports = _reports(discovery, headers_only, allow_uneven, picture_size)
    if wanted is not None:
        fits = _fits(discovery, wanted, inputs)
        reports = (replace(report, fit=fits.get(report.found.case_id, "")) for report in reports)
    return Inspection(tuple(reports), discovery.skipped)


def _fits(discovery: Discovery, wanted: SeriesWanted, inputs: Sequence[Path]) -> dict[str, str]:
    from medseg.io.dicom.series_choice import choose_series, judge

    chosen = {scan.case_id: bool(scan.notes) for scan in choose_series(discovery, wanted, inputs).found}
    words = {None: "not taken for the model", True: "taken for the model", False: "taken, the only one of its study"}
    return {
        scan.case_id: f"{words[chosen.get(scan.case_id)]}: {judge(scan, wanted)}"
        for scan in discovery.found
        if scan.format == "dicom"
    }


def _reports(discovery: Discovery, headers_only: bool, allow_uneven: bool, picture_size: int) -> Iterator[VolumeReport]:
    for found in discovery.found:
        about = _about(found) if found.format == "dicom" else {}
        try:
            if headers_only:
                geometry, notes = _place(found, allow_uneven)
                yield VolumeReport(found, geometry, notes=notes, **about)
            else:
                yield _full(found, read_scan(found, allow_uneven=allow_uneven), about, picture_size)
        except MedsegError as error:
            yield VolumeReport(found, reason=str(error.what), fix=error.fix, **about)


def _full(found: FoundScan, scan: Scan, about: dict[str, Any], picture_size: int) -> VolumeReport:
    return VolumeReport(
        found,
        scan.geometry,
        notes=(*scan.source.warnings, *scan.source.notes),
        channels=scan.channels,
        value_type=str(scan.array.dtype),
        values=(float(scan.array.min()), float(scan.array.max())),
        thumbnail=thumbnail(scan, picture_size),
        **about,
    )


def _place(found: FoundScan, allow_uneven: bool) -> tuple[Geometry | None, tuple[str, ...]]:
    """Grid and notes of a volume by its headers; formats of one file were checked when they were found."""
    if found.format != "dicom":
        return None, ()
    from medseg.io.dicom.geometry import lay_out
    from medseg.io.dicom.series import volume_of

    volume = volume_of(found)
    layout = lay_out(volume.frames, allow_uneven=allow_uneven)
    return layout.geometry, (*layout.warnings, *volume.notes)


def _about(found: FoundScan) -> dict[str, Any]:
    """What the header of the first file says of the series; nothing of the patient."""
    import hashlib

    from medseg.io.dicom.header import lenient, read_header

    try:
        with lenient():
            get = read_header(found.files[0]).elements.get
            number, text = get("SeriesNumber"), " ".join(str(get("SeriesDescription") or "").split())
            return {
                "modality": str(get("Modality") or "") or None,
                "study": hashlib.sha256(str(get("StudyInstanceUID")).encode()).hexdigest()[:10],
                "series": " ".join(str(part) for part in (number, text) if part not in (None, "")),
                "body_part": str(get("BodyPartExamined") or ""),
            }
    except (MedsegError, ValueError, TypeError):
        return {}
