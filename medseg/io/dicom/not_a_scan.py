"""Which DICOM objects and images are no scan, and what they are instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, MediaStorageDirectoryStorage

from medseg.io.dicom.volume import Volume

# Storage classes whose images can make a volume in the patient (PS3.4 annex B).
VOLUMES = {
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.2.1",  # enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # legacy converted enhanced CT
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4",  # legacy converted enhanced MR
    "1.2.840.10008.5.1.4.1.1.128",  # PET
    "1.2.840.10008.5.1.4.1.1.130",  # enhanced PET
    "1.2.840.10008.5.1.4.1.1.128.1",  # legacy converted enhanced PET
    "1.2.840.10008.5.1.4.1.1.13.1.1",  # X-ray 3D angiographic
    "1.2.840.10008.5.1.4.1.1.13.1.2",  # X-ray 3D craniofacial
}
FEW = 3
# Of the angle between slices of a localizer: 20 degrees or more.
LOCALIZER_COSINE = 0.94
DIRECTORY = "it is a DICOMDIR, which lists other files; those in the folders given are looked at one by one"


def not_a_volume(header: Dataset) -> tuple[str, str | None] | None:
    """Return why an object cannot be part of a volume, and what to do about it; None where it can."""
    sop_class = str(header.get("SOPClassUID") or "")
    if MediaStorageDirectoryStorage in (sop_class, header.file_meta.get("MediaStorageSOPClassUID")):
        return DIRECTORY, None
    if not sop_class:
        return "it is a DICOM file that does not say what it is (no SOP class)", "Export the series again."
    if sop_class not in VOLUMES:
        name = UID(sop_class).name if UID(sop_class).is_valid else "unknown object"
        return f"DICOM, but not a volume: {name.removesuffix(' Storage')}", None
    if not header.get("SeriesInstanceUID"):
        return "it does not say to which series it belongs", "Export the series again."
    if int(header.get("SamplesPerPixel") or 1) != 1:
        return "it is a color image, not a scan", None
    return None


def not_a_scan(volume: Volume, volumes: Sequence[Volume]) -> tuple[str, str | None] | None:
    """Return why images of a scan's class are not one; None where they are."""
    first = volume.frames[0]
    if volume.refusal is not None:
        return None
    if volume.is_localizer:
        return "it is a localizer (scout), not a scan", None
    placed = first.is_placed
    if not placed and first.image_type[:1] == ("DERIVED",):
        return "it is a derived image without a position in the patient", None
    if (
        placed
        and len(volumes) > 1
        and all(len(v.frames) < FEW and v.frames[0].is_placed for v in volumes)
        and _are_apart(volumes)
    ):
        return f"one of {len(volumes)} directions with a slice or two each: a localizer (scout), not a scan", None
    return None


def _are_apart(volumes: Sequence[Volume]) -> bool:
    """Whether volumes lie in directions as different as those of localizers."""
    directions = [np.reshape(volume.frames[0].orientation or (), (2, 3)) for volume in volumes]
    normals = np.array([np.cross(*cosines) for cosines in directions])
    return bool((np.abs(normals @ normals.T) - np.eye(len(normals)) < LOCALIZER_COSINE).all())
