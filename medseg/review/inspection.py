"""What an inspection finds: a verdict for every volume, and a reason for every other file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from medseg.counted import counted
from medseg.types.geometry import Geometry
from medseg.types.scan import FoundScan, Skipped


@dataclass(frozen=True, repr=False)
class VolumeReport:
    """What is known of one volume; nothing of the patient."""

    found: FoundScan
    geometry: Geometry | None = None  # None where it was rejected
    reason: str | None = None  # why it was rejected; None for a valid one
    fix: str | None = None
    notes: tuple[str, ...] = ()  # decisions taken while reading
    channels: int = 1
    value_type: str = ""  # of the voxels, such as "int16"
    values: tuple[float, float] | None = None  # smallest and largest
    modality: str | None = None
    study: str = ""  # hash that volumes of one DICOM study share; empty for other formats
    series: str = ""  # the series' number and description, for DICOM
    body_part: str = ""
    thumbnail: Image.Image | None = None  # in true proportions, head and front up
    fit: str = ""  # whether a model would take it of its study, and why; empty where no model was named

    def __repr__(self) -> str:
        grid = "" if self.geometry is None else f", {self.geometry.summary}"
        return f"VolumeReport('{self.found.case_id}', {self.verdict}{grid})"

    @property
    def is_valid(self) -> bool:
        """Whether every voxel was read and lies where the header says."""
        return self.reason is None

    @property
    def verdict(self) -> Literal["valid", "rejected"]:
        """The word for it."""
        return "valid" if self.is_valid else "rejected"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        grid = self.geometry
        return {
            "case_id": self.found.case_id,
            "format": self.found.format,
            "files": [str(path) for path in self.found.files],
            "description": self.found.description,
            "verdict": self.verdict,
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


@dataclass(frozen=True, repr=False)
class Inspection:
    """Every volume, in the order of discovery, and every file that is part of none."""

    volumes: tuple[VolumeReport, ...]
    skipped: tuple[Skipped, ...]

    def __repr__(self) -> str:
        valid = sum(volume.is_valid for volume in self.volumes)
        rejected = len(self.volumes) - valid
        skipped = counted(len(self.skipped), "file")
        return f"Inspection({counted(valid, 'volume')} valid, {rejected} rejected, {skipped} skipped)"

    @property
    def exit_code(self) -> int:
        """0 where all is valid, 3 where part of it is not, 4 where nothing is."""
        bad = [v for v in self.volumes if not v.is_valid] + [left for left in self.skipped if left.corrupt]
        if not any(v.is_valid for v in self.volumes):
            return 4
        return 3 if bad else 0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "volumes": [volume.as_json() for volume in self.volumes],
            "skipped": [
                {"path": str(left.path), "reason": left.reason, "fix": left.fix, "corrupt": left.corrupt}
                for left in self.skipped
            ],
        }
