"""One case of several scans, one for each channel of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medseg.types.channels import WantedChannel
from medseg.types.scan import FoundScan


def joined(case_id: str, scans: Sequence[FoundScan], channels: Sequence[WantedChannel], by: str = "") -> FoundScan:
    """Return one case of the scans of each channel, in the model's order."""
    named = [f"{channel.name}: {_called(scan)}" for channel, scan in zip(channels, scans, strict=True)]
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


def _called(scan: FoundScan) -> str:
    """What results call a scan: its file, or of DICOM what tells nothing of the patient."""
    return f"{scan.case_id} ({scan.description})" if scan.format == "dicom" else scan.file_name or scan.files[0].name
