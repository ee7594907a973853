"""A scan, where it came from, and the case it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.counted import counted
from medseg.errors import InputError, MedsegError
from medseg.types.geometry import Geometry
from medseg.types.kinds import check_kinds
from medseg.types.labels import LabelMap

ScanFormat = Literal["nifti", "nrrd", "meta", "dicom", "image2d", "arrays", "array"]


@dataclass(frozen=True)
class Source:
    """Where a scan came from: enough to find it again and to write results that refer to it."""

    format: ScanFormat  # ``"arrays"`` for a file of plain arrays, ``"array"`` for a scan given in memory
    files: tuple[Path, ...] = ()  # of DICOM, in the order of the slices along the array's third axis
    study_uid: str | None = None
    series_uid: str | None = None
    frame_of_reference_uid: str | None = None
    body_part: str | None = None  # DICOM's Body Part Examined, where stated
    laterality: str | None = None  # DICOM's ``"L"``, ``"R"``, ``"B"`` (both) or ``"U"`` (unpaired), where stated
    value_unit: str = ""  # ``"HU"``, ``"SUV"``, ``"Bq/ml"``; empty where it is not known
    warnings: tuple[str, ...] = ()  # what may be wrong with the scan as read
    notes: tuple[str, ...] = ()  # decisions taken while reading that are good to know
    # Of a scan resampled from uneven slices: place of each of `files`, in voxels along the third axis.
    slice_places: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Scan:
    """One image on one grid.

    Parameters
    ----------
    array : ndarray, shape (C, X, Y, Z)
        Intensities, channels first; the spatial axes are the geometry's. A 2D image has Z = 1.
    geometry : Geometry
        Where the voxels lie.
    modality : str, optional
        DICOM's word (``"MR"``, ``"CT"``, ``"PT"``, ...) where known.
    source : Source
        Where it came from.

    Raises
    ------
    InputError
        When array and geometry disagree.

    Examples
    --------
    >>> Scan(np.zeros((1, 4, 4, 2), np.int16), Geometry(np.eye(4), (4, 4, 2)), "CT")
    Scan(channels=1, shape=(4, 4, 2), spacing=(1, 1, 1) mm, orientation='RAS', dtype=int16, modality='CT')
    """

    array: npt.NDArray[Any]
    geometry: Geometry
    modality: str | None = None
    source: Source = field(default_factory=lambda: Source("array"))

    def __post_init__(self) -> None:
        check_kinds(self, array=np.ndarray, geometry=Geometry)
        if self.array.ndim != 4 or self.array.shape[1:] != self.geometry.shape:
            raise InputError(
                f"an array of shape {self.array.shape} does not fit a grid of shape {self.geometry.shape}",
                fix="Give channels first: (C, X, Y, Z).",
            )
        if self.array.dtype.kind not in "iufb":
            raise InputError(
                f"intensities must be real numbers, not {self.array.dtype}",
                fix="Give magnitude and phase as scans of their own.",
            )

    def __repr__(self) -> str:
        modality = "" if self.modality is None else f", modality='{self.modality}'"
        return f"Scan(channels={self.channels}, {self.geometry.summary}, dtype={self.array.dtype}{modality})"

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return int(self.array.shape[0])

    def with_array(self, array: npt.NDArray[Any], geometry: Geometry) -> Scan:
        """Return the same scan with other voxels on another grid."""
        return Scan(np.asarray(array), geometry, self.modality, self.source)


@dataclass(frozen=True)
class Recorded:
    """What a manifest says of a scan that was not looked at since: how its bytes are known, and where to get them."""

    sha256: str = ""  # of its files, as `input_sha256` of a case's record; empty where it was not taken
    size: int | None = None  # bytes of all its files
    modified: float | None = None  # seconds, of the newest of them
    archive: str = ""  # path or address of the zip archive that its files are in
    addresses: tuple[
        str, ...
    ] = ()  # of its files, where they are not on this machine: paths within the archive, if any
    n_channels: int | None = None  # that the file holds, where the manifest says so
    is_absolute: bool = False  # its path begins at the root of the file system, so that no other folder changes it
    is_identified: bool = True  # False where what it is must be found out once its files are here

    @property
    def is_elsewhere(self) -> bool:
        """Whether its files must be brought here before they can be read."""
        return bool(self.archive or self.addresses)


@dataclass(frozen=True)
class FoundScan:
    """A scan found on disk, or listed by a manifest, and not yet read."""

    case_id: str  # unique within a run, safe as a folder name, free of patient names and identifiers taken from DICOM
    format: ScanFormat
    files: tuple[Path, ...]  # one, or the instances of a DICOM series
    series_uid: str | None = None
    description: str = ""  # what a listing shows of it, for instance ``"MR, 36 slices"``
    volume: str | None = None  # which volume, where the files hold several; a key that only `medseg.io` reads
    study_uid: str | None = None
    series_number: int | None = None
    # May name the patient: shown to those who look into the files, kept out of logs and results.
    series_description: str = ""
    notes: tuple[str, ...] = ()  # why this scan was chosen among others
    file_name: str = ""  # what results call its file, free of what looks like a patient's name
    warnings: tuple[str, ...] = ()  # what may be missing of it, by what was found beside it
    incomplete: str | None = None  # why part of it seems lost: it is read only where that is allowed
    n_channels: int = 1  # that the file itself holds
    # Of a case of several scans, one for each channel of a model, in its order; `files` are then those of all.
    channels: tuple[FoundScan, ...] = ()
    recorded: Recorded | None = None  # where a manifest lists it
    inside: tuple[Path, ...] = ()  # of files unpacked from an archive, where each lies in it: ``study.zip/1.dcm``

    @property
    def places(self) -> tuple[Path, ...]:
        """Where its files lie for whoever gave them, and will when what was unpacked is gone."""
        return tuple(path for one in self.channels or (self,) for path in one.inside or one.files)

    @property
    def title(self) -> str:
        """What tells a series from others and nothing of the patient, as descriptions of series may."""
        number = f"number {self.series_number}, " if self.series_number is not None else ""
        return f"{self.case_id} ({number}{self.description})"


@dataclass(frozen=True)
class Skipped:
    """A file that is not part of any scan found, and why."""

    path: Path
    reason: str
    fix: str | None = None  # what would make it usable
    # It claims to be a scan and cannot be read as one, or was named explicitly: a failure of the batch.
    corrupt: bool = False
    # As of a `FoundScan`, free of patient data: the case id of a corrupt one, and what results call it.
    case_id: str = ""
    source: str = ""
    code: str | None = None  # of the kind of error, where one made it corrupt

    @classmethod
    def for_error(cls, path: Path, error: MedsegError) -> Skipped:
        """A corrupt file, for what reading it raised."""
        return cls(path, error.what, error.fix, corrupt=True, code=error.code)


@dataclass(frozen=True)
class Discovery:
    """Everything found under some files and folders."""

    found: tuple[FoundScan, ...] = ()  # in a stable order, with distinct case ids
    skipped: tuple[Skipped, ...] = ()  # every other file
    # How many cases other shards have, where these are one shard's alone; None where these are all.
    elsewhere: int | None = None
    whole_list: str = ""  # of one shard's cases: a hash over the ids of all shards' cases, in order

    def __repr__(self) -> str:
        return f"Discovery({counted(len(self.found), 'scan')} found, {counted(len(self.skipped), 'file')} skipped)"


@dataclass(frozen=True, eq=False)
class Case:
    """The scans of one patient at one time that are segmented together, all on one grid."""

    case_id: str
    scans: tuple[Scan, ...]  # the first gives the grid of the result
    reference: LabelMap | None = None  # what the labels should be, where known

    def __repr__(self) -> str:
        reference = "" if self.reference is None else ", with a reference"
        return f"Case('{self.case_id}', scans={len(self.scans)}, {self.scan.geometry.summary}{reference})"

    @property
    def scan(self) -> Scan:
        """The scan on whose grid labels are written."""
        return self.scans[0]
