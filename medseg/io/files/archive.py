"""Unpacks zip archives of scans into a temporary folder, within bounds, for as long as the process runs."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from medseg.counted import counted
from medseg.errors import InputError, MedsegError, ResourceLimit, first_line
from medseg.io.files.byte_stream import CHUNK
from medseg.io.files.limits import LARGEST_DEFLATE_RATIO
from medseg.io.files.temporary import folder_until_exit, temporary_place

MOST_MEMBERS = 200_000
SHARE_OF_DISK = 0.5

Member = tuple[PurePosixPath, Path | MedsegError]
_origins: dict[Path, tuple[Path, str]] = {}


def unpack(archive: Path) -> list[Member]:
    """Unpack an archive once; the folder is deleted when the process ends.

    Names that lead out of the archive are never followed, links are not made, and what an archive promises is checked
    against the disk before a byte is written. Each member's name comes with the file it was unpacked to, or the reason
    why it was not.
    """
    try:
        status = archive.stat()
        return _unpacked(archive, status.st_mtime_ns, status.st_size)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"the archive is damaged ({first_line(error)})", where=archive, fix="Copy it again."
        ) from error


def unpack_some(archive: Path, names: Sequence[str], folder: Path) -> list[Path]:
    """Unpack the named members alone, into a folder that is the caller's; the same checks, and an error is raised."""
    try:
        with zipfile.ZipFile(archive) as packed:
            infos = {info.filename: info for info in packed.infolist() if not info.is_dir()}
            missing = next((name for name in names if name not in infos), None)
            if missing is not None:
                raise InputError(f"the archive holds no '{missing}'", where=archive, fix="Make the manifest again.")
            wanted = [infos[name] for name in names]
            check_unpacked_size(wanted, archive, folder)
            members = [_extract(packed, info, folder, archive) for info in wanted]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"the archive is damaged ({first_line(error)})", where=archive, fix="Copy it again."
        ) from error
    wrong = next((member for member in members if isinstance(member, MedsegError)), None)
    if wrong is not None:
        raise wrong
    return [member for member in members if isinstance(member, Path)]


def place_within(unpacked: Path) -> tuple[Path, str] | None:
    """Return the archive that this process unpacked a file from, and its name in there; None of other files."""
    return _origins.get(unpacked)


@lru_cache(maxsize=256)
def _unpacked(archive: Path, _mtime: int, _size: int) -> list[Member]:
    with zipfile.ZipFile(archive) as packed:
        infos = [info for info in packed.infolist() if not info.is_dir()]
        check_unpacked_size(infos, archive, temporary_place())
        folder = folder_until_exit()
        members: list[Member] = []
        for info in infos:
            member = _extract(packed, info, folder, archive)
            if isinstance(member, Path):
                _origins[member] = archive, info.filename
            members.append((PurePosixPath(info.filename), member))
        return members


def check_unpacked_size(infos: list[zipfile.ZipInfo], archive: Path, place: Path) -> None:
    """Raise where an archive promises more than the disk of a place can spare, or than its own bytes can hold."""
    total, free = sum(info.file_size for info in infos), shutil.disk_usage(place).free
    if len(infos) > MOST_MEMBERS or total > SHARE_OF_DISK * free:
        raise ResourceLimit(
            f"it would unpack to {counted(len(infos), 'file')} of {_in_words(total)}; {_in_words(free)} are free",
            where=archive,
            fix="Unpack it where there is space, and give the folder.",
        )
    lies = [i for i in infos if i.file_size > i.compress_size * LARGEST_DEFLATE_RATIO + 1024]
    if lies:
        raise InputError(f"'{lies[0].filename}' states an impossible size", where=archive, fix="Copy it again.")


def _in_words(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.2f} MiB"


def _extract(packed: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path, archive: Path) -> Path | MedsegError:
    where = f"{archive}/{info.filename}"
    parts = PurePosixPath(info.filename.replace("\\", "/")).parts
    if not parts or parts[0].startswith("/") or ".." in parts or any(":" in part for part in parts):
        return InputError("its path leads outside the archive", where=where, fix="Pack the archive again.")
    if info.flag_bits & 1:
        return InputError("it is encrypted", where=where, fix="Unpack it with its password, and give the folder.")
    target = folder.joinpath(*parts)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with packed.open(info) as source, target.open("xb") as out:
            shutil.copyfileobj(source, out, CHUNK)
    except FileExistsError:
        return InputError("the archive holds two files of this name", where=where, fix="Pack the archive again.")
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        target.unlink(missing_ok=True)
        return InputError(f"it cannot be unpacked ({first_line(error)})", where=where, fix="Copy the archive again.")
    return target
