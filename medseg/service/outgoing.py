"""The DICOM objects under some files and folders, as far as sending them needs to know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from medseg.io.files.walk import walk

WANTED = ("SOPClassUID", "SOPInstanceUID")
DICOMDIR = "1.2.840.10008.1.3.10"  # a table of contents, which archives do not store


@dataclass(frozen=True)
class Outgoing:
    """An object to send."""

    path: Path
    sop_class: UID
    instance: UID
    syntax: UID  # how it is encoded


def outgoing(paths: Sequence[Path]) -> list[Outgoing]:
    """List the DICOM files under some files and folders; anything else is passed over."""
    found: dict[UID, Outgoing] = {}
    for entry in walk(paths)[0]:
        try:
            header = pydicom.dcmread(
                entry.path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True
            )
            item = Outgoing(entry.path, header.SOPClassUID, header.SOPInstanceUID, header.file_meta.TransferSyntaxUID)
        except (InvalidDicomError, OSError, EOFError, AttributeError, ValueError):
            continue
        if item.sop_class != DICOMDIR:
            found.setdefault(item.instance, item)
    return list(found.values())
