"""Pixels and nothing else: what codecs, unused bits and the end of the pixel data may carry besides goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from medseg.errors import InputError
from medseg.io.dicom.jpeg import decoder_of
from medseg.isolation.apart import apart
from medseg.isolation.boundary import in_words

PIXELS = {"PixelData": None, "FloatPixelData": 32, "DoubleFloatPixelData": 64}
AGAIN = (RLELossless, JPEGLSLossless, JPEG2000Lossless)  # written as they were, where nothing is lost by it


def clean_pixels(dataset: Dataset) -> None:
    """Decode the pixels and keep these alone, in place; `ValueError` where there are fewer than the header says.

    Comments and other segments of compressed streams, bytes after the last pixel and what stands in bits above
    `BitsStored` are gone. What was compressed without loss is compressed again where that gives the same pixels; else
    the pixels are stored plainly.
    """
    for keyword, bits in PIXELS.items():
        if keyword not in dataset:
            continue
        syntax = dataset.file_meta.TransferSyntaxUID
        if syntax.is_encapsulated:
            _decompress(dataset)
        content = _exact(dataset, bytes(dataset[keyword].value), bits or int(dataset.BitsAllocated))
        dataset[keyword].value = content + b"\0" * (len(content) % 2)
        if syntax in AGAIN:
            _compress(dataset, syntax)


def _decompress(dataset: Dataset) -> None:
    """Decode the pixels in place, in a process of their own."""
    plain = _decompressed(Path(dataset.filename or ""), dataset)
    for tag in dataset.keys() - plain.keys():
        del dataset[tag]
    dataset.file_meta.TransferSyntaxUID = plain.file_meta.TransferSyntaxUID
    dataset.update(plain)


@apart
def _decompressed(path: Path, dataset: Dataset) -> Dataset:
    try:
        dataset.decompress(generate_instance_uid=False, decoding_plugin=decoder_of(dataset.file_meta.TransferSyntaxUID))
    except Exception as error:  # decoders raise nearly anything on damaged pixels
        raise InputError(
            f"its pixels cannot be decoded ({in_words(error)})", where=path.name, fix="Get it again."
        ) from error
    return dataset


def _exact(dataset: Dataset, content: bytes, bits: int) -> bytes:
    """As many bytes as the pixels have, each pixel with its stored bits alone."""
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
    count *= int(dataset.get("SamplesPerPixel") or 1)
    if str(dataset.get("PhotometricInterpretation")) == "YBR_FULL_422":
        count = count * 2 // 3
    length = -(-count * bits // 8)
    if len(content) < length:
        raise ValueError("there are fewer pixels than the header says")
    content = content[:length]
    if bits == 1:
        spare = -count % 8
        return content[:-1] + bytes([content[-1] & (0xFF >> spare)]) if spare else content
    stored, high = int(dataset.get("BitsStored") or bits), int(dataset.get("HighBit") or 0)
    if "PixelData" not in dataset or stored >= bits or bits not in (8, 16, 32):
        return content
    as_written = np.dtype(f"{'<' if dataset.file_meta.TransferSyntaxUID.is_little_endian else '>'}u{bits // 8}")
    # Arithmetic gives this machine's byte order whatever it is given, so it begins with that too.
    values = np.frombuffer(content, as_written).astype(as_written.newbyteorder("="))
    if int(dataset.get("PixelRepresentation") or 0) and high == stored - 1:
        unused = bits - stored  # as many copies of the sign
        kept: npt.NDArray[Any] = (values << unused).view(f"i{bits // 8}") >> unused
    else:
        kept = values & values.dtype.type(((1 << stored) - 1) << max(high - stored + 1, 0))
    return kept.astype(as_written).tobytes()


def _compress(dataset: Dataset, syntax: str) -> None:
    plain = dataset.file_meta.TransferSyntaxUID, dataset["PixelData"], pixel_array(dataset, raw=True)
    plugin = decoder_of(UID(syntax))
    try:
        dataset.compress(syntax, generate_instance_uid=False)
        if np.array_equal(pixel_array(dataset, raw=True, decoding_plugin=plugin), plain[2]):
            return
    except (NotImplementedError, RuntimeError, ValueError):
        pass
    dataset.file_meta.TransferSyntaxUID, dataset["PixelData"] = plain[:2]
