"""What a file is, by its first bytes, and what its name claims it to be."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.io.dicom.header import looks_like_dicom

FileKind = Literal[
    "dicom", "nifti", "nifti-pair", "analyze", "nrrd", "meta", "image2d", "arrays", "zip", "other", "unreadable"
]

CLAIMS: dict[str, FileKind] = {
    ".nii.gz": "nifti",
    ".nii": "nifti",
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".mha": "meta",
    ".mhd": "meta",
    ".dcm": "dicom",
    ".dicom": "dicom",
    ".ima": "dicom",
    ".zip": "zip",
}
NAMES: dict[FileKind, str] = {
    "dicom": "DICOM",
    "nifti": "NIfTI",
    "nrrd": "NRRD",
    "meta": "MetaImage",
    "zip": "zip archive",
}
IMAGE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a")
# Of files of plain arrays, by the ends of their names: a zip archive or HDF5 of another name may hold anything.
HDF5 = b"\x89HDF\r\n\x1a\n"
ARRAY_SIGNATURES = {".npy": b"\x93NUMPY", ".npz": b"PK\x03\x04", ".h5": HDF5, ".hdf5": HDF5}
# Sizes that the second header of a BMP may have; two letters alone are no signature.
BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
# Kinds that are not scans, named so that a listing can say what a file is instead of what it is not.
OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip file that does not hold NIfTI"),
    (b"SQLite format 3", "a database"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"7z\xbc\xaf", "a 7-Zip archive, which must be unpacked first"),
    (b"Rar!", "a RAR archive, which must be unpacked first"),
    (b"<?xml", "an XML document"),
    (b"{", "a JSON document"),
)

UNKNOWN = "a file of no kind that medseg knows"


@dataclass(frozen=True)
class Recognized:
    """What a file turned out to be."""

    kind: FileKind  # by its bytes; ``"other"`` where they are none of a scan's
    claim: FileKind | None  # what its name says it is, where that is a scan format
    reason: str = ""  # of ``"other"`` and ``"unreadable"``: what it is instead
    is_known: bool = True  # False of an empty file and of bytes that are no kind of file known here


def claim_of(name: str) -> FileKind | None:
    """The scan format that a file's name says it has."""
    return next((kind for suffix, kind in CLAIMS.items() if name.lower().endswith(suffix)), None)


def recognize(path: Path) -> Recognized:
    """Say what a file is by its first kilobyte; names and extensions are not needed."""
    name = path.name.lower()
    claim = claim_of(name)
    try:
        with path.open("rb") as stream:
            start = stream.read(1024)
    except OSError as error:
        return Recognized("unreadable", claim, f"it cannot be opened ({error.strerror or error})")
    if not start:
        return Recognized("other", claim, "it is empty", is_known=False)
    kind, reason = _by_bytes(start, name)
    is_known = reason != UNKNOWN
    if kind == "other" and claim is not None:
        reason = f"its name says {NAMES[claim]}, but it is {reason}"
    elif kind == "other":
        reason = f"it is {reason}, not a scan"
    elif reason:
        reason = f"it is {reason}"
    return Recognized(kind, claim, reason, is_known)


def _by_bytes(start: bytes, name: str) -> tuple[FileKind, str]:
    if start[128:132] == b"DICM":
        return "dicom", ""
    inner = _inflated(start) if start[:2] == b"\x1f\x8b" else start
    if inner[344:347] in (b"n+1",) or inner[4:7] == b"n+2":
        return "nifti", ""
    if inner[344:347] == b"ni1" or inner[4:7] == b"ni2":
        return "nifti-pair", ""
    if start.startswith(b"NRRD000"):
        return "nrrd", ""
    if b"NDims" in start and b"=" in start and _is_text(start[: start.index(b"NDims")]):
        return "meta", ""
    if start.startswith(IMAGE_SIGNATURES) or _is_bmp(start) or re.match(rb"P[56]\s", start):
        return "image2d", ""
    if start.startswith(ARRAY_SIGNATURES.get(name[name.rfind(".") :], b"\0none")):
        return "arrays", ""
    if start.startswith(b"PK\x03\x04"):
        return "zip", ""
    if name.endswith((".hdr", ".hdr.gz")) and inner[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        return "analyze", "Analyze 7.5, which does not say how the patient lies"
    for magic, what in OTHERS:
        if start.startswith(magic):
            return "other", what
    if looks_like_dicom(start):
        return "dicom", ""
    return "other", "a text file" if _is_text(start) else UNKNOWN


def _is_bmp(start: bytes) -> bool:
    return start[:2] == b"BM" and start[6:10] == b"\0\0\0\0" and int.from_bytes(start[14:18], "little") in BMP_HEADERS


def _is_text(data: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 32 for byte in data)


def _inflated(start: bytes) -> bytes:
    """The first bytes inside a gzip file, as far as its first kilobyte goes."""
    try:
        return zlib.decompressobj(wbits=31).decompress(start, 600)
    except zlib.error:
        return b""
