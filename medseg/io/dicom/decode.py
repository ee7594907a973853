"""Decodes frames one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy.typing as npt
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medseg.errors import InputError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.frame import Frame
from medseg.io.dicom.header import lenient
from medseg.io.dicom.inflated import read_dicom
from medseg.io.dicom.jpeg import decoder_of

PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # float, double float, whole numbers
# Bits above those stored are looked at before they are dropped.
AS_STORED: dict[str, Any] = {"correct_unused_bits": False}


def decode(frames: Sequence[Frame]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Stored values (rows, columns) of each frame, with its place; multi-frame files are opened once."""
    by_file: dict[Path, list[int]] = {}
    space = _Space()
    for k, frame in enumerate(frames):
        if frame.index is None:
            with _decoding(frame.file, _transfer_syntax(frame)):
                stored = _single(frame, space)
            yield k, stored
        else:
            by_file.setdefault(frame.file, []).append(k)
    for path, members in by_file.items():
        with _decoding(path, _transfer_syntax(frames[members[0]])):
            # One frame at a time, in the order of the file, so that no more than one is ever held beside the array.
            members.sort(key=lambda k: frames[k].index or 0)
            plugin = decoder_of(_transfer_syntax(frames[members[0]]))
            _check_frames(frames[members[0]], path)
            indices = [frames[k].index for k in members]
            pixels = iter_pixels(path, indices=indices, raw=True, decoding_plugin=plugin, **AS_STORED)
            for k in members:
                yield k, next(pixels)


def _check_frames(frame: Frame, path: Path) -> None:
    """Refuse a file too short for the frames that its header states, where they are not compressed."""
    if frame.pixels_at is None or _transfer_syntax(frame).is_encapsulated:
        return
    size = frame.rows * frame.columns * int(frame.header.get("BitsAllocated") or 0) // 8
    stated = int(frame.header.get("NumberOfFrames") or 1)
    here = (path.stat().st_size - frame.pixels_at) // max(size, 1)
    if here < stated:
        raise ValueError(f"the file has space for {here} frames, and its header states {stated}")


@dataclass
class _Space:
    """Where the bytes of one slice after another are read to: new memory takes longer to come by than they to read."""

    content: bytearray = field(default_factory=bytearray)

    def view(self, size: int) -> memoryview:
        if len(self.content) < size:
            self.content = bytearray(size)
        return memoryview(self.content)[:size]


def _single(frame: Frame, space: _Space) -> npt.NDArray[Any]:
    """Stored values of a single-frame file, from where its header ended.

    The result may be a view of `space`, good until the next slice is read.
    """
    syntax = _transfer_syntax(frame)
    if frame.pixels_at is None:
        elements = read_dicom(frame.file, force=True)
    else:
        # A copy, lest the pixels stay in memory with the header.
        elements = Dataset(dict(frame.header.items()))
        elements.file_meta = frame.header.file_meta
        implicit, little = frame.header.original_encoding
        with frame.file.open("rb") as stream:
            stream.seek(frame.pixels_at)
            passed_over = None if syntax.is_encapsulated else 0
            element = next(data_element_generator(stream, implicit, little, defer_size=passed_over), None)
            if element is None or element.tag not in PIXEL_DATA:
                raise ValueError("there is no pixel data")
            if element.value is None and element.length:
                element = DataElement(
                    element.tag, element.VR or "OW", _read_value(stream, element, space), already_converted=True
                )
        elements[element.tag] = element
        elements.set_original_encoding(implicit, little, frame.header.original_character_set)
    stored: npt.NDArray[Any]
    plugin = decoder_of(syntax)
    stored, _ = get_decoder(syntax).as_array(elements, raw=True, view_only=True, decoding_plugin=plugin, **AS_STORED)
    return stored


def _read_value(stream: IO[bytes], element: RawDataElement, space: _Space) -> memoryview:
    """Read the value of an element that was passed over; a view of `space`."""
    left = os.fstat(stream.fileno()).st_size - element.value_tell
    if element.length > left:
        raise ValueError(f"the file ends after {left:,} of {element.length:,} bytes of pixels")
    view = space.view(element.length)
    stream.seek(element.value_tell)
    if stream.readinto(view) != element.length:  # type: ignore[attr-defined]
        raise ValueError("the file changed while it was read")
    return view


def _transfer_syntax(frame: Frame) -> UID:
    """How the file is encoded; pydicom found that out where the file itself does not say."""
    header = frame.header
    stated = header.file_meta.get("TransferSyntaxUID")
    if stated:
        syntax = UID(stated)
        if not syntax.is_transfer_syntax:
            raise InputError(
                "its header names a transfer syntax that nobody knows",
                where=frame.file,
                fix="Get it again from the archive.",
            )
        return syntax
    implicit, little = header.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian


@contextmanager
def _decoding(path: Path, syntax: UID) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged pixels into one error, and keep its warnings to itself."""
    try:
        with lenient():
            yield
    except BaseException as error:
        # A decoder written in Rust panics with an error that is no `Exception`; signals and exits must still pass.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InputError(
            f"its pixels cannot be decoded ({'' if not syntax.is_encapsulated else syntax.name + ': '}{cause(error)})",
            where=path,
            fix="Get it again from the archive, uncompressed if possible.",
        ) from error
