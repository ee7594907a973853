"""Which series each structure of an RTSTRUCT was drawn on, and the label maps on their grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from medseg.io.dicom.geometry import lay_out
from medseg.io.dicom.header import lenient
from medseg.io.dicom.series import volume_of
from medseg.io.dicom.volume import Volume
from medseg.io.dicom_results.drawn_images import DrawnImages
from medseg.io.dicom_results.read_labels import ReadLabels
from medseg.io.dicom_results.rtstruct import drawn_on
from medseg.io.dicom_results.structures import Structure, read_structures
from medseg.types.scan import FoundScan


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A volume that structures may have been drawn on."""

    volume: Volume
    images: frozenset[str]
    frame: str | None

    @classmethod
    def from_scan(cls, scan: FoundScan) -> _Candidate:
        with lenient():
            volume = volume_of(scan)
        frame = volume.frames[0].header.get("FrameOfReferenceUID")
        return cls(volume, frozenset(f.sop_uid for f in volume.frames), str(frame) if frame else None)


def read_on_series(path: Path, series: Sequence[str], scans: Sequence[FoundScan]) -> list[ReadLabels]:
    """Read structures on the grid of the volume each was drawn on, for each such volume.

    Of several volumes the one whose images the contours refer to is taken, and without such references the one in the
    structure's frame of reference.

    - `series`: UIDs of the series the file refers to.
    """
    structures = read_structures(path)
    referenced = frozenset().union(*(structure.images for structure in structures))
    candidates = [_Candidate.from_scan(scan) for scan in scans if scan.series_uid in series]
    if not candidates:
        candidates = [one for one in map(_Candidate.from_scan, scans) if one.images & referenced]
    if not candidates:
        raise InputError(
            "none of the volumes given is the one these contours were drawn on",
            where=path,
            fix="Give the folder of that series too.",
        )
    groups: dict[int, list[Structure]] = {}
    # Structures without contours go with the others, wherever that is.
    for structure in sorted(structures, key=lambda structure: not structure.contours):
        number = _choose(structure, candidates, path) if structure.contours else min(groups, default=0)
        groups.setdefault(number, []).append(structure)
    read = []
    for number, members in sorted(groups.items()):
        one = candidates[number]
        in_order = sorted(members, key=lambda structure: structure.entry.value)
        geometry = lay_out(one.volume.frames).geometry
        images = DrawnImages.on(geometry, one.volume.frames)
        read.append(drawn_on(geometry, one.frame, in_order, path, images))
    return read


def _choose(structure: Structure, candidates: Sequence[_Candidate], path: Path) -> int:
    """Number of the volume a structure was drawn on."""
    if len(candidates) == 1:
        return 0
    for hits in (
        [len(structure.images & one.images) for one in candidates],
        [int(structure.frame is not None and structure.frame == one.frame) for one in candidates],
    ):
        best = max(hits)
        if best and hits.count(best) == 1:
            return hits.index(best)
    raise InputError(
        f"'{structure.entry.name}' may have been drawn on any of {len(candidates)} volumes, and does not say which",
        where=path,
        fix="Give the folder of the right series alone.",
    )
