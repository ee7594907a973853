"""Whether all the pixels that a header states are in a file, by lengths alone: none of them is read."""

from __future__ import annotations

from io import SEEK_END
from typing import BinaryIO

from pydicom.dataset import FileDataset
from pydicom.filereader import data_element_generator, read_partial
from pydicom.tag import Tag
from pydicom.uid import UID

from medseg.io.dicom.decode import PIXEL_DATA
from medseg.io.dicom.header import UNDEFINED_LENGTH, lenient

FORMAT = [
    Tag(keyword)
    for keyword in (
        "Rows",
        "Columns",
        "SamplesPerPixel",
        "BitsAllocated",
        "NumberOfFrames",
        "PhotometricInterpretation",
    )
]
HALVED_COLOR = "YBR_FULL_422"  # two neighbors have one color: two samples a pixel in place of three


def lacking_pixels(stream: BinaryIO) -> tuple[int, int] | None:
    """Return how many bytes of pixels an object has, and how many its header states, where these are more.

    None where all are there, and where lengths do not tell: without pixel data, compressed, or with a header that does
    not say how large an image is, which whoever reads it finds out.
    """
    try:
        found = _lengths(stream)
    except Exception:  # pydicom raises nearly anything on damaged objects, in words that may quote the patient
        return None
    return None if found is None or found[0] >= found[1] else found


def _lengths(stream: BinaryIO) -> tuple[int, int] | None:
    stream.seek(0)
    with lenient():
        header = read_partial(stream, stop_when=lambda tag, *_: tag >= PIXEL_DATA[0], specific_tags=FORMAT)
        syntax = UID(header.file_meta.TransferSyntaxUID)
        if syntax.is_encapsulated or syntax.is_deflated:
            return None
        implicit, little = header.original_encoding
        element = next(data_element_generator(stream, implicit, little, defer_size=0), None)
        if element is None or element.tag not in PIXEL_DATA or element.length == UNDEFINED_LENGTH:
            return None
        stated = _stated(header)
    return min(element.length, stream.seek(0, SEEK_END) - element.value_tell), stated


def _stated(header: FileDataset) -> int:
    """Bytes of all frames; those of one bit a pixel follow one another within bytes."""
    frames = int(header.get("NumberOfFrames") or 1)
    samples = int(header.get("SamplesPerPixel") or 1)
    if samples == 3 and header.get("PhotometricInterpretation") == HALVED_COLOR:
        samples = 2
    return (int(frames * header.Rows * header.Columns * samples * header.BitsAllocated) + 7) // 8
