"""What an object that arrived says of itself, once all of it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import pydicom

from medseg.errors import ResourceLimit
from medseg.io.dicom.header import lenient
from medseg.io.dicom.inflated import check_inflated
from medseg.io.dicom.whole import after_meta, is_whole_stream
from medseg.service.archive import ArchiveError, ArchiveRefusal, is_uid
from medseg.service.arriving import size_of
from medseg.service.bounds import LARGEST_INFLATED

REPORT = "Report it to the administrator of the archive."
AGAIN = "Run the same command again; where it stays so, report it to the administrator of the archive."
IDENTITY = ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate"]


@dataclass(frozen=True)
class Received:
    """UIDs of an object and of what it belongs to, and whose it is."""

    instance: str
    series: str
    study: str
    patient: str  # the ID
    name: str
    born: str


def received(stream: BinaryIO, where: str) -> Received:
    """Read who an object is and whose; what was cut, is damaged or inflates to too much is an `ArchiveError`."""
    try:
        if check_inflated(stream, LARGEST_INFLATED) and size_of(stream) > LARGEST_INFLATED:
            raise EOFError  # what follows the deflated data is none of it
        syntax, _ = after_meta(stream)
        stream.seek(128)
        if stream.read(4) != b"DICM" or not is_whole_stream(stream, syntax):
            raise EOFError
        stream.seek(0)
        with lenient():
            header = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=IDENTITY)
            values = [str(header.get(keyword) or "") for keyword in IDENTITY]
    except ResourceLimit as error:
        raise ArchiveRefusal(f"an object is refused: {error.what}", where=where, fix=REPORT) from error
    except Exception as error:  # pydicom raises nearly anything on damaged objects
        raise ArchiveError("an object arrived cut or damaged", where=where, fix=AGAIN) from error
    if not is_uid(values[0]):
        raise ArchiveRefusal("the archive sent an object without a valid UID", where=where, fix=REPORT)
    return Received(*values)
