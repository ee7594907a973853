"""Scans with markers of a patient in them, and whoever looks for these markers afterwards."""

from __future__ import annotations

import sqlite3
import struct
import threading
import time
from pathlib import Path

import psutil
import pydicom
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian
from small_series import small_series

from medseg.types import Source

MARKERS = {
    "PatientName": "Quimbyson^Fritz",
    "PatientID": "MRN-77-4711",
    "PatientBirthDate": "19370203",
    "OtherPatientIDs": "OLD-331-77",
    "PatientAddress": "Winterbottom Lane 5",
    "PatientComments": "cousin of Oleander",
    "ReferringPhysicianName": "Hartwell^Ada",
    "OperatorsName": "Evergreen^Tech",
    "InstitutionName": "Zwiesel Clinic",
    "AccessionNumber": "ACC-31415",
    "StudyDescription": "follow-up of Fenwickstone",
}
PRIVATE = "Marlowe private note"
WORDS = (
    "Quimbyson", "MRN-77-4711", "19370203", "OLD-331-77", "Winterbottom", "Oleander", "Hartwell", "Evergreen",
    "Zwiesel",
    "ACC-31415", "Fenwickstone", "Marlowe",
)  # fmt: skip


def planted(folder: Path, **elements: object) -> Source:
    """A series with all markers, at 16 x 16 x 8 voxels."""
    source, _ = small_series(folder, **{"shape": (16, 16, 8), **MARKERS, **elements})
    for path in source.files:
        dataset = pydicom.dcmread(path)
        dataset.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", PRIVATE)
        dataset.save_as(path)
    return source


def broken(folder: Path) -> None:
    """Files that are refused because of what a person typed, or a program wrote, into the wrong element."""
    wrong = {
        "RescaleSlope": "Quimbyson",
        "PixelSpacing": ["Zwiesel", "1"],
        "ImagePositionPatient": ["Hartwell"] * 3,
        "Rows": b"Oleander",
        "NumberOfFrames": "MRN-77-4711",
        "SeriesInstanceUID": "Winterbottom",
        "SOPClassUID": "Evergreen",
        "PhotometricInterpretation": "FENWICKSTONE",
        "SeriesDate": "Fenwickstone",
        "BitsStored": b"Marlowe!",
    }
    for keyword, value in wrong.items():
        series = planted(folder / keyword.lower()[:6], RescaleSlope="1", NumberOfFrames="1", SeriesDate="20200101")
        path = series.files[0]
        spoil(path, keyword, value)


def spoil(path: Path, keyword: str, value: object) -> None:
    """Write text into an element of a file that is of another kind."""
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # so that it is read by the dictionary
    pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
    raw = path.read_bytes()
    start = raw.index(struct.pack("<HH", Tag(keyword).group, Tag(keyword).element), 132)
    (length,) = struct.unpack("<I", raw[start + 4 : start + 8])
    text = _bytes(value)
    path.write_bytes(raw[: start + 4] + struct.pack("<I", len(text)) + text + raw[start + 8 + length :])


def _bytes(value: object) -> bytes:
    text = value if isinstance(value, bytes) else "\\".join([value] if isinstance(value, str) else value).encode()
    return text + b" " * (len(text) % 2)


def found_in(content: bytes) -> set[str]:
    lowered = content.lower()
    return {
        word for word in WORDS for code in ("utf-8", "utf-16-le", "utf-16-be") if word.lower().encode(code) in lowered
    }


class Watch(threading.Thread):
    """Looks at the titles of this process's children and at the temporary files while a verb runs."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(daemon=True)
        self.scratch, self.found, self.over = scratch, set(), threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            for child in psutil.Process().children(recursive=True):
                try:
                    self.found |= found_in(" ".join(child.cmdline()).encode())
                except psutil.Error:
                    continue
            for path in self.scratch.rglob("*"):
                self.found |= found_in(path.name.encode())
                try:
                    content = path.read_bytes() if path.is_file() else b""
                except OSError:
                    continue
                if b"DICM" not in content[:140]:
                    self.found |= found_in(content)
            time.sleep(0.05)


def leaks(folder: Path, *, clean: bool = False, private: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """Markers in names and contents of the files below a folder, by file.

    DICOM objects must carry the patient to be filed, unless they are `clean`; `private` names files that their owner
    alone can read, which lead back to the scans.
    """
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        content = path.read_bytes() if path.is_file() else b""
        is_private = path.name in private and not path.stat().st_mode & 0o077
        words = found_in(name.encode())
        if (clean or b"DICM" not in content[:140]) and not is_private:
            words |= found_in(content)
        if path.suffix in (".db", ".sqlite") and content and not is_private:
            with sqlite3.connect(path) as database:
                words |= found_in("\n".join(database.iterdump()).encode())
        if words:
            found[name] = words
    return found
