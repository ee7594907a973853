"""Proves that NRRD and MetaImage files hold what their headers promise, which ITK's own readers do not.

ITK reads a compressed MetaImage with a flipped byte, and files with too much data, without a word.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from medseg.errors import InputError
from medseg.io.files.byte_stream import CHUNK, TRUNCATED, readable
from medseg.io.files.limits import LARGEST_DEFLATE_RATIO, check_size

LARGEST_HEADER = 1 << 24
# NRRD's reader in ITK takes time by the square of the number of keys; a hundred segments of 3D Slicer have a thousand.
MOST_LINES = 20_000
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


# Fields that say what the voxels are and where they lie, which no key of the same name may seem to overrule.
NRRD_FIELDS = {
    "type", "dimension", "space", "space dimension", "sizes", "spacings", "endian", "encoding", "space units",
    "space origin", "space directions", "measurement frame", "line skip", "lineskip", "byte skip", "byteskip",
    "data file", "datafile", "kinds", "block size", "blocksize", "axis mins", "axis maxs", "centers", "centerings",
}  # fmt: skip

# The same of MetaImage, as it writes them, with all the names it knows one by; case counts for its reader.
META_FIELDS = (
    ("ObjectType",), ("NDims",), ("DimSize",), ("BinaryData",), ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"),
    ("CompressedData",), ("CompressedDataSize",), ("TransformMatrix", "Rotation", "Orientation"),
    ("Offset", "Position", "Origin"), ("ElementSpacing",), ("ElementSize",), ("ElementType",),
    ("ElementNumberOfChannels",), ("HeaderSize",), ("ElementDataFile",),
)  # fmt: skip
META_SYNONYMS = {name.lower(): name for names in META_FIELDS for name in names}
SPELLED = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


@dataclass(frozen=True)
class TextHeader:
    """The text at the start of a NRRD or MetaImage file."""

    path: Path
    fields: dict[str, str]  # by names in lower case
    keys: frozenset[str]  # of NRRD's key-value pairs, as written
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
    lines = start[:end].decode("utf-8", "replace").splitlines()[1:]
    _check_count(len(lines), path)
    fields: dict[str, str] = {}
    keys: set[str] = set()
    for line in lines:
        name, is_field, value = line.partition(": ")
        key, is_pair, _ = line.partition(":=")
        if line.startswith("#"):
            continue
        if is_field and (name.strip().lower() in NRRD_FIELDS or not is_pair):
            if name.strip().lower() in fields:
                raise InputError(
                    f"its header gives '{name.strip()[:60]}' twice, so what holds is not clear",
                    where=path,
                    fix="Delete the wrong line, or save it again.",
                )
            fields[name.strip().lower()] = value.strip()
        elif is_pair:
            keys.add(key.strip())
    if twice := sorted(key for key in keys if key.lower() in NRRD_FIELDS):
        raise InputError(
            f"its header has a key called '{twice[0]}', which is the name of a field, so what holds is not clear",
            where=path,
            fix="Delete the line with :=, or save it again.",
        )
    detached = fields.get("data file", fields.get("datafile"))
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise InputError(
            f"its encoding is '{encoding}'; medseg reads raw and gzip",
            where=path,
            fix="Save it again compressed or raw.",
        )
    skips = (fields.get("line skip", fields.get("lineskip")), fields.get("byte skip", fields.get("byteskip")))
    if any(_whole_number(text, "0", path, "for a skip") for text in skips):
        raise InputError("its data starts after skipped lines or bytes", where=path, fix="Save it again without skips.")
    size = NRRD_BYTES.get(fields.get("type", "").lower())
    is_compressed = encoding in ("gzip", "gz")
    header = _text_header(path, fields, detached, end + gap, fields.get("sizes", ""), size, 1, is_compressed)
    return replace(header, keys=frozenset(keys))


def _meta(path: Path, start: bytes) -> TextHeader:
    fields: dict[str, str] = {}
    position = 0
    while "elementdatafile" not in fields:
        _check_count(len(fields), path)
        end = start.find(b"\n", position)
        key, found, value = start[position : max(end, position)].decode("utf-8", "replace").partition("=")
        if end < 0 or not found:
            raise InputError("it is not a MetaImage file", where=path, fix="Check that the file is what its name says.")
        _check_meta_field(key.strip(), fields, path)
        fields[key.strip().lower()] = value.strip()
        position = end + 1
    if fields.get("objecttype", "Image") != "Image":
        raise InputError("its ObjectType is not Image", where=path, fix="Give the file that holds the image.")
    _whole_number(fields.get("compresseddatasize"), "0", path, "for CompressedDataSize")
    for name in ("binarydatabyteordermsb", "elementbyteordermsb", "compresseddata"):
        if fields.get(name, "false").lower() not in SPELLED:
            raise InputError(
                f"its header must give True or False as {META_SYNONYMS[name]}, not '{fields[name][:60]}'",
                where=path,
                fix="Correct the line, or save it again with the tool that made it.",
            )
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
        _whole_number(fields.get("elementnumberofchannels"), "1", path, "for its number of channels"),
        SPELLED[fields.get("compresseddata", "false").lower()],
    )


def _check_meta_field(key: str, fields: dict[str, str], path: Path) -> None:
    """Raise where a field that says what the voxels are and where they lie has been given before, by whatever name."""
    names = next((names for names in META_FIELDS if key.lower() in map(str.lower, names)), ())
    before = next((name for name in names if name.lower() in fields), None)
    if before is not None:
        raise InputError(
            f"its header gives {before} twice{'' if key == before else f', also as {key}'}, so what holds is not clear",
            where=path,
            fix="Delete the wrong line, or save it again.",
        )


def _check_count(lines: int, path: Path) -> None:
    if lines > MOST_LINES:
        raise InputError(
            f"its header has more than the {MOST_LINES:,} lines that medseg reads",
            where=path,
            fix="Save it again without the keys that nobody needs.",
        )


def _whole_number(text: str | None, default: str, path: Path, what: str) -> int:
    digits = (default if text is None else text).strip()
    if not digits.lstrip("-").isdecimal() or len(digits) > 18:
        raise InputError(f"its header gives no whole number {what}", where=path, fix="Save it again.")
    return int(digits)


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
        return TextHeader(path, fields, frozenset(), path, offset, math.prod(shape) * channels * item, compressed)
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
    return TextHeader(path, fields, frozenset(), data, 0, total, compressed)
