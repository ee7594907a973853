"""Reads what sorting and placing DICOM images takes from their headers, and nothing else."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pydicom
from pydicom.charset import default_encoding
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.valuerep import AMBIGUOUS_VR

from medseg.errors import InputError, MedsegError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.inflated import check_inflated, read_dicom
from medseg.io.dicom.wanted import CHARACTER_SET, CSA_HEADER, HASHED, KEYWORDS, WANTED_TAGS, WHOLE_NUMBERS

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # the latter as a label map
LABEL_CLASSES = {**dict.fromkeys(SEGMENTATIONS, "SEG"), "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT"}

REMEMBERED = 4096
UNDEFINED_LENGTH = 0xFFFFFFFF
SHORT = 64  # bytes of a value that is likely to be the same in many files
DAMAGED = "Copy it again from the scanner or the archive."


@dataclass(frozen=True, eq=False)
class Header:
    """What was read of a file."""

    path: Path
    elements: Dataset  # the `WANTED` ones it has
    pixels_at: int | None  # where in the file the pixel data element starts; None for a deflated file

    @cached_property
    def named(self) -> dict[str, Any]:
        """Values of the standard elements, by keyword; far quicker to look up than in a `Dataset`."""
        return {KEYWORDS.get(tag) or element.keyword: element.value for tag, element in self.elements.items()}


@contextmanager
def lenient() -> Iterator[None]:
    """Accept without warnings values that break a rule of DICOM; what matters is checked where it is used."""
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def looks_like_dicom(start: bytes) -> bool:
    """Whether the first 132 bytes of a file or more are those of DICOM, with or without the preamble."""
    if start[128:132] == b"DICM":
        return True
    # Without one, a file starts with an element of group 2 or 8: its group, a small element number, and either a VR or
    # a length that is not absurd.
    group, element = int.from_bytes(start[:2], "little"), int.from_bytes(start[2:4], "little")
    if group not in (2, 8) or element > 0x0060 or len(start) < 132:
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return explicit or 0 < int.from_bytes(start[4:8], "little") < 256


def starts_as_dicom(path: Path) -> bool:
    """Whether the beginning of a file is that of a DICOM file; not where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return looks_like_dicom(stream.read(4096))
    except OSError:
        return False


def read_header(path: Path) -> Header:
    """Read the elements of a DICOM file's header that matter here; pixels are not touched.

    The last few thousand headers are remembered, so that finding a series and then reading it parses them once.
    """
    try:
        status = path.stat()
        return _remembered(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror or error})", where=path, fix=DAMAGED) from error


@lru_cache(maxsize=REMEMBERED)
def _remembered(path: Path, _mtime: int, _size: int) -> Header:
    try:
        with path.open("rb") as stream, lenient():
            start = stream.read(132)
            if not looks_like_dicom(start):
                raise InputError("it is not a DICOM file", where=path, fix="Check that the file is what its name says.")
            deflated = start[128:] == b"DICM" and check_inflated(stream, where=path)
            stream.seek(0)
            elements = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=list(WANTED_TAGS), force=True)
            pixels_at = None if deflated else stream.tell()
            _check_whole_values(elements, path.stat().st_size, pixels_at)
            converted = _converted(elements)
            converted.file_meta = FileMetaDataset(_converted(elements.file_meta))
            return Header(path, converted, pixels_at)
    except (MedsegError, OSError):
        raise
    except Exception as error:  # pydicom raises nearly anything on damaged files; all of it means the same
        raise InputError(f"its DICOM header is damaged ({cause(error)})", where=path, fix=DAMAGED) from error


def _check_whole_values(elements: Dataset, size: int, ends_at: int | None) -> None:
    """Refuse a header that ends within a value, which pydicom reads as far as it goes."""
    for element in (*elements.file_meta.values(), *elements.values()):
        if isinstance(element, RawDataElement) and len(element.value or b"") < element.length < UNDEFINED_LENGTH:
            raise ValueError("the file ends within it")
    if ends_at is not None and ends_at > size:
        raise ValueError("the file ends within it")


def _converted(elements: Dataset) -> Dataset:
    """Convert every value now, so that damage shows here and nowhere later.

    Most values are the same in all files of a series; `_short_value` converts each of these once.
    """
    character_set = elements.original_character_set
    known = tuple(character_set) if isinstance(character_set, list) else character_set
    values: dict[BaseTag, DataElement | RawDataElement] = {}
    rest = []
    for tag, element in elements.items():
        if tag == CSA_HEADER:
            element = _tiles(element)
        elif tag in HASHED and isinstance(element, RawDataElement):
            element = _hashed(tag, element.value or b"")
        elif isinstance(element, RawDataElement) and not tag.is_private and 0 < len(element.value or b"") <= SHORT:
            try:
                element = _short_value(
                    tag, element.VR, element.value, element.is_implicit_VR, element.is_little_endian, known
                )
            except _Depends:
                rest.append(tag)
        else:
            rest.append(tag)
        values[tag] = element
    converted = Dataset(values)
    converted.set_original_encoding(*elements.original_encoding, character_set)
    for tag in rest:
        _check_whole(converted[tag])
    return converted


def _tiles(element: Any) -> DataElement:
    """Siemens' header, of which all that is kept is how many slices are tiled into the image."""
    content = element.value if isinstance(element.value, bytes) else b""
    # Name, then two items of header, each with 77 or 205 in it; then the length of the number, and the number.
    found = re.search(
        rb"NumberOfImagesInMosaic\0.{,200}?[\x4d\xcd]\0\0\0[\x01-\x0c]\0\0\0 *(\d{1,5})", content, re.DOTALL
    )
    return DataElement(CSA_HEADER, "IS", int(found[1]) if found else 0)


@lru_cache(maxsize=REMEMBERED)
def _hashed(tag: BaseTag, value: bytes) -> DataElement:
    """An element with a hash in place of its value, the same for the same letters and digits; empty where it is."""
    text = value.strip(b" ^=\0").upper()
    return DataElement(tag, "LO", hashlib.sha256(text).hexdigest()[:12] if text else "")


def _check_whole(element: DataElement) -> None:
    if element.tag in WHOLE_NUMBERS and element.value is not None and element.value != "":
        int(element.value)


class _Depends(Exception):
    """What a value is depends on other elements."""


@lru_cache(maxsize=4 * REMEMBERED)
def _short_value(
    tag: BaseTag, vr: str | None, value: bytes, implicit: bool, little: bool, character_set: str | tuple[str, ...]
) -> DataElement:
    """Convert a value; the element is shared by all headers that have it, so it must not be changed."""
    raw = RawDataElement(tag, vr, len(value), value, 0, implicit, little)
    # The character set itself is always in the default one.
    encoding = list(character_set) if isinstance(character_set, tuple) else character_set
    element = convert_raw_data_element(raw, encoding=default_encoding if tag == CHARACTER_SET else encoding)
    if element.VR in AMBIGUOUS_VR or element.VR == "SQ":
        raise _Depends
    _check_whole(element)
    return element


def read_object(path: Path, kind: str) -> Dataset:
    """Read all of a file that should be a ``"SEG"`` or an ``"RTSTRUCT"``."""
    try:
        dataset = read_dicom(path)
        found = LABEL_CLASSES.get(str(dataset.get("SOPClassUID")))
        _ = dataset.file_meta.get("TransferSyntaxUID")  # pydicom decodes it when it is asked for
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError("it cannot be read as DICOM", where=path, fix="Copy the file again.") from error
    if found != kind:
        raise InputError(f"it is a DICOM object of another kind than {kind}", where=path, fix=f"Give a DICOM {kind}.")
    return dataset
