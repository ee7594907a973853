"""Identity of the DICOM objects medseg makes: the same input, model and options give the same object, byte for byte.

UIDs are content addresses, so that equal UIDs mean equal objects and different objects never share one; dates are the
source's, because the clock's would make every rerun another object. See docs/decisions/0008-content-addressed-dicom.md.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID

from medseg.errors import MedsegError
from medseg.harmless import one_line
from medseg.io.dicom.header import lenient
from medseg.io.files.atomic import atomic_path

T = TypeVar("T")
# Stands for each UID that depends on the object's own content while that content is being put together.
PROVISIONAL = {
    "SOPInstanceUID": UID("2.25.1"),
    "SeriesInstanceUID": UID("2.25.2"),
    "DimensionOrganizationUID": UID("2.25.3"),
}
# What an object is dated when its source carries no date at all, as after de-identification.
NO_DATE, NO_TIME = "19700101", "000000"
MOMENTS = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)


def derived_uid(*parts: object) -> UID:
    """Return the UID that stands for these parts, by their SHA-256."""
    digest = hashlib.sha256()
    for part in ("medseg", *parts):
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return uid_of_digest(digest.digest())


def uid_of_digest(digest: bytes) -> UID:
    """Return the UID made of a digest's first 16 bytes, in the ``2.25.<UUID>`` form of PS3.5 B.2.

    The UUID is of version 8 (RFC 9562: vendor specific).
    """
    bits = bytearray(digest[:16])
    bits[6] = (bits[6] & 0x0F) | 0x80
    bits[8] = (bits[8] & 0x3F) | 0x80
    return UID(f"2.25.{uuid.UUID(bytes=bytes(bits)).int}")


def source_moment(header: Dataset) -> tuple[str, str]:
    """Date and time, DICOM's DA and TM, at which the source was acquired.

    The most specific date of the source counts; `NO_DATE` where it has none.
    """
    for date, time in MOMENTS:
        if header.get(date):
            return str(header[date].value), str(header.get(time) or NO_TIME)
    return NO_DATE, NO_TIME


@lenient()
def seal(dataset: Dataset, header: Dataset, series_uid: str | None = None) -> Dataset:
    """Give a finished object, in place, the dates of its source and UIDs that follow from its content.

    Its identity so far is `PROVISIONAL`. Without `series_uid` it is a series of its own.
    """
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in dataset:
            delattr(dataset, keyword)
    for item in dataset.get("ContributingEquipmentSequence") or ():
        if item.get("ManufacturerModelName") == "highdicom" and "ContributionDateTime" in item:
            del item.ContributionDateTime
    for date, time in (("ContentDate", "ContentTime"), ("DateOfSecondaryCapture", "TimeOfSecondaryCapture")):
        if date in dataset:
            dataset[date].value, dataset[time].value = source_moment(header)
    _identify(dataset, PROVISIONAL)
    digest = hashlib.sha256(_encode(dataset)).hexdigest()
    uids = {keyword: derived_uid(keyword, digest) for keyword in PROVISIONAL}
    _identify(dataset, uids if series_uid is None else uids | {"SeriesInstanceUID": UID(series_uid)})
    return dataset


@lenient()
def write_sealed(
    dataset: Dataset, header: Dataset, path: Path, prove: Callable[[Path], T], *, series_uid: str | None = None
) -> T:
    """Seal an object and write it as a DICOM file, whole or not at all; return what `prove` finds.

    `prove` reads the file before it takes its name; where it raises, nothing is left behind.
    """
    with atomic_path(path) as part:
        part.write_bytes(_encode(seal(dataset, header, series_uid)))
        try:
            return prove(part)
        except MedsegError as error:
            if error.where == one_line(part):
                error.where = one_line(path)  # the name it would have had
            raise


def digest_of_array(array: object) -> str:
    """SHA-256, hexadecimal, of a label array: its type, shape and voxels."""
    import numpy as np

    values = np.ascontiguousarray(array)
    content = hashlib.sha256(f"{values.dtype.str} {values.shape}".encode())
    content.update(values.tobytes())
    return content.hexdigest()


def _identify(dataset: Dataset, uids: dict[str, UID]) -> None:
    dataset.SOPInstanceUID = uids["SOPInstanceUID"]
    dataset.SeriesInstanceUID = uids["SeriesInstanceUID"]
    dataset.file_meta.MediaStorageSOPInstanceUID = uids["SOPInstanceUID"]
    dimensions: Sequence[Dataset] = dataset.get("DimensionOrganizationSequence") or ()
    for item in (*dimensions, *(dataset.get("DimensionIndexSequence") or ())):
        item.DimensionOrganizationUID = uids["DimensionOrganizationUID"]


def _encode(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
