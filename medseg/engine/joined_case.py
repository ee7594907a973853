"""One case of several scans, one for each channel of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medseg.io.files.patient_names import public_name
from medseg.types.channels import WantedChannel
from medseg.types.scan import FoundScan

MOST_FOLDERS = 4


def joined(case_id: str, scans: Sequence[FoundScan], channels: Sequence[WantedChannel], by: str = "") -> FoundScan:
    """Return one case of the scans of each channel, in the model's order."""
    named = [f"{channel.name}: {name}" for channel, name in zip(channels, _names(scans), strict=True)]
    text = "; ".join(named)
    return replace(
        scans[0],
        case_id=case_id,
        files=tuple(file for scan in scans for file in scan.files),
        description=text,
        notes=(f"Channels are {text}{f', by {by}' if by else ''}.", *(note for scan in scans for note in scan.notes)),
        file_name=text,
        warnings=tuple(dict.fromkeys(text for scan in scans for text in scan.warnings)),
        channels=tuple(scans),
    )


def _names(scans: Sequence[FoundScan]) -> list[str]:
    """What results call each scan; where files have one name, after as many of their folders as they differ by."""
    names = [_called(scan) for scan in scans]
    depth = 0
    while len(set(names)) < len(names) and depth < MOST_FOLDERS:
        depth += 1
        folders = [() if scan.format == "dicom" else scan.files[0].parts[1:-1][-depth:] for scan in scans]
        names = [
            "/".join((*map(public_name, parts), _called(scan))) for parts, scan in zip(folders, scans, strict=True)
        ]
    return names


def _called(scan: FoundScan) -> str:
    """What results call a scan: its file, or of DICOM what tells nothing of the patient."""
    return f"{scan.case_id} ({scan.description})" if scan.format == "dicom" else scan.file_name or scan.files[0].name
