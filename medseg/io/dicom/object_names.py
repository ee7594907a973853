"""Which series and instance a DICOM object is, from its header alone."""

from __future__ import annotations

from pathlib import Path

from medseg.io.dicom.inflated import read_dicom


def series_and_instance(path: Path) -> tuple[str, str]:
    """Return the UIDs of the series and of the object itself; an object without them raises `AttributeError`."""
    header = read_dicom(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID", "SOPInstanceUID"])
    return str(header.SeriesInstanceUID), str(header.SOPInstanceUID)
