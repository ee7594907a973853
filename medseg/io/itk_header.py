"""Proves that NRRD and MetaImage files hold what their headers promise, which ITK's own readers do not.

ITK reads a compressed MetaImage with a flipped byte, and files with too much data, without a word.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.errors import InputError
from medseg.io.files.byte_stream import CHUNK, TRUNCATED, readable
from medseg.io.files.limits import LARGEST_DEFLATE_RATIO, check_size

LARGEST_HEADER = 1 << 24
ItkFormat = Literal["nrrd", "meta"]

NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(
        ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4
    ),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t", "double"), 8),
}
META_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR", "MET_ASCII_CHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}


@dataclass(frozen=True)
class TextHeader:
    """The text at the start of a NRRD or MetaImage file."""

    path: Path
    fields: dict[str, str]  # keys in lower case
    data: Path  # the file that holds the voxels: the same, or the one a detached header names
    offset: int  # where they start in it
    bytes: int  # how many there are, uncompressed
    compressed: bool  # gzip in NRRD, zlib in MetaImage

    @property
    def files(self) -> tuple[Path, ...]:
        """The header's file, and that of the voxels where it is another."""
        return (self.path,) if self.data == self.path else (self.path, self.data)


def read_header(path: Path, kind: ItkFormat) -> TextHeader:
    """Read the text header and check its promises against the size of the files.

    Data outside the header's folder is rejected.
    """
    with readable(path):
        with path.open("rb") as stream:
            header = (_nrrd if kind == "nrrd" else _meta)(path, stream.read(LARGEST_HEADER))
        size = header.data.stat().st_size - header.offset
    possible = size * LARGEST_DEFLATE_RATIO + 1024 if header.compressed else size
    if header.bytes > possible:
        raise InputError(
            f"it is truncated: {size:,} bytes of data where its header promises {header.bytes:,}",
            where=path,
            fix=TRUNCATED,
        )
    if not header.compressed and header.data == path and size != header.bytes:
        raise InputError(
            f"it holds {size:,} bytes of data where its header promises {header.bytes:,}",
            where=path,
            fix="Write the file again with the tool that made it; header and data disagree.",
        )
    return header


def check_data(path: Path, header: TextHeader) -> None:
    """Inflate compressed data once, in small pieces, to prove its length and checksum."""
    if not header.compressed:
        return
    unpack = zlib.decompressobj(wbits=47)  # 32 + 15: zlib or gzip, distinguished by the data
    total = 0
    try:
        with header.data.open("rb") as stream:
            stream.seek(header.offset)
            piece = stream.read(CHUNK)
            while piece and not unpack.eof:
                total += len(unpack.decompress(piece, CHUNK))
                if total > header.bytes:
                    break
                piece = unpack.unconsumed_tail or stream.read(CHUNK)
    except zlib.error as error:
        raise InputError(f"the compressed data is damaged ({error})", where=path, fix=TRUNCATED) from error
    if total != header.bytes or not unpack.eof:
        more = "more than" if total > header.bytes else f"{total:,} of"
        raise InputError(
            f"its data holds {more} the {header.bytes:,} bytes its header promises", where=path, fix=TRUNCATED
        )


def _nrrd(path: Path, start: bytes) -> TextHeader:
    if not start.startswith(b"NRRD000"):
        raise InputError("it is not a NRRD file", where=path, fix="Check that the file is what its name says.")
    ends = [(start.find(blank), len(blank)) for blank in (b"\n\n", b"\r\n\r\n")]
    end, gap = min(((at, n) for at, n in ends if at >= 0), default=(len(start), 0))
    fields: dict[str, str] = {}
    for line in start[:end].decode("utf-8", "replace").splitlines()[1:]:
        # Key-value pairs are written with := and fields with a colon and a blank.
        for separator in (":=", ": "):
            key, found, value = line.partition(separator)
            if found and not line.startswith("#"):
                fields[key.strip().lower()] = value.strip()
                break
    detached = fields.get("data file", fields.get("datafile"))
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(
            f"its encoding is '{encoding}'; medseg reads raw and gzip",
            where=path,
            fix="Save it again compressed or raw.",
        )
    if int(fields.get("line skip", fields.get("lineskip", "0"))) or int(
        fields.get("byte skip", fields.get("byteskip", "0"))
    ):
        raise InputError("its data starts after skipped lines or bytes", where=path, fix="Save it again without skips.")
    size = NRRD_BYTES.get(fields.get("type", "").lower())
    return _text_header(path, fields, detached, end + gap, fields.get("sizes", ""), size, 1, encoding in ("gzip", "gz"))


def _meta(path: Path, start: bytes) -> TextHeader:
    fields: dict[str, str] = {}
    position = 0
    while "elementdatafile" not in fields:
        end = start.find(b"\n", position)
        key, found, value = start[position : max(end, position)].decode("utf-8", "replace").partition("=")
        if end < 0 or not found:
            raise InputError("it is not a MetaImage file", where=path, fix="Check that the file is what its name says.")
        fields[key.strip().lower()] = value.strip()
        position = end + 1
    if fields.get("headersize", "0") not in ("0", "") or fields.get("binarydata", "true").lower() != "true":
        raise InputError("its data is text or starts after a header", where=path, fix="Save it again as binary.")
    data = fields["elementdatafile"]
    return _text_header(
        path,
        fields,
        None if data.upper() == "LOCAL" else data,
        position,
        fields.get("dimsize", ""),
        META_BYTES.get(fields.get("elementtype", "")),
        int(fields.get("elementnumberofchannels", "1")),
        fields.get("compresseddata", "false").lower() == "true",
    )


def _text_header(
    path: Path,
    fields: dict[str, str],
    detached: str | None,
    offset: int,
    sizes: str,
    item: int | None,
    channels: int,
    compressed: bool,
) -> TextHeader:
    try:
        shape = [int(n) for n in sizes.split()]
    except ValueError:
        shape = []
    if item is None or not 1 <= len(shape) <= 5 or min(shape) < 1 or channels < 1:
        raise InputError("its type or dimensions are not those of a scan", where=path, fix="Save it again.")
    total = check_size((*shape, channels), item, where=path)
    if detached is None:
        return TextHeader(path, fields, path, offset, math.prod(shape) * channels * item, compressed)
    data = path.parent / detached
    if "%" in detached or detached.upper().startswith("LIST"):
        raise InputError("its voxels lie in several files", where=path, fix="Save it again as one file.")
    if Path(detached).name != detached:
        raise InputError(
            f"its voxels lie in another folder ({detached})", where=path, fix="Keep header and data in one folder."
        )
    if not data.is_file():
        raise InputError(
            f"the file that holds its voxels is missing: {detached}", where=path, fix="Keep both together."
        )
    return TextHeader(path, fields, data, 0, total, compressed)
