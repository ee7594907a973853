"""Files at addresses such as ``s3://bucket/scan.nii.gz``: fetched through fsspec, within bounds, or refused.

Only the schemes named here are taken: fsspec knows others that run commands or wrap one address in another.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from medseg.errors import InputError, MedsegError, MissingDependency, ResourceLimit, first_line
from medseg.io.files.byte_stream import CHUNK

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Scheme to the package that fsspec needs for it.
PACKAGES = {
    "s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "http": "aiohttp", "https": "aiohttp",
    "sftp": "paramiko", "memory": "fsspec",
}  # fmt: skip
MOST_FILES = 100_000
SHARE_OF_DISK = 0.5
RETRY = "Check the address, the network and who may read it."


def scheme_of(text: str) -> str | None:
    """Return the scheme of an address in lower case; None of a path."""
    match = SCHEME.match(text)
    return None if match is None else match[1].lower()


def local_path(address: str) -> Path:
    """Return the path that a ``file://`` address stands for."""
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise InputError("it names another machine", where=address, fix="Write file:///path, or the path itself.")
    return Path(unquote(parts.path))


def check_address(address: str) -> str:
    """Return an address with its scheme in lower case; raise where nothing is fetched from such a one."""
    scheme = scheme_of(address)
    if scheme is None or scheme not in PACKAGES or "::" in address:
        known = ", ".join(f"{name}://" for name in PACKAGES)
        raise InputError("scans are not fetched from such an address", where=address, fix=f"Use a path, or {known}.")
    return scheme + address[len(scheme) :]


def join_address(root: str, path: str) -> str:
    """Return the address of a path below another address."""
    return f"{root.rstrip('/')}/{path}"


def name_of(address: str) -> str:
    """Return the name that a file at an address has, without a query such as a signature."""
    return PurePosixPath(unquote(urlsplit(address).path)).name or "scan"


def fetch(address: str, folder: Path, name: str | None = None) -> list[Path]:
    """Bring the file at an address, or the files below one that is a folder, into a local folder.

    Raises `MissingDependency` where fsspec or what it needs for the scheme is not installed, `InputError` where the
    file cannot be had, `ResourceLimit` where the disk has no space for it.
    """
    check_address(address)
    files, place = _file_system(address)
    try:
        if not files.isdir(place):
            return [_copied(files, place, folder / (name or name_of(address)), address)]
        below = sorted(files.find(place))
        if len(below) > MOST_FILES:
            raise ResourceLimit(f"{len(below):,} files lie there", where=address, fix="Give the address of one scan.")
        start = len(place.rstrip("/")) + 1
        return [_copied(files, one, folder.joinpath(*_parts(one[start:], address)), address) for one in below]
    except MedsegError:
        raise
    except FileNotFoundError as error:
        raise InputError("there is nothing at this address", where=address, fix="Correct the manifest.") from error
    except Exception as error:  # of the network, a server, credentials: each file system has errors of its own
        raise InputError(f"it cannot be fetched ({first_line(error)})", where=address, fix=RETRY) from error


def _file_system(address: str) -> tuple[Any, str]:
    scheme = str(scheme_of(address))
    fix = "Install them: pip install 'medseg[remote]'" + (
        "." if scheme in ("s3", "http", "https", "memory") else f" {PACKAGES[scheme]}."
    )
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependency("addresses need fsspec", where=address, fix=fix) from error
    try:
        files, place = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise MissingDependency(f"{scheme}:// needs {PACKAGES[scheme]}", where=address, fix=fix) from error
    except Exception as error:
        raise InputError(f"the address cannot be used ({first_line(error)})", where=address, fix=RETRY) from error
    return files, str(place)


def _copied(files: Any, place: str, target: Path, address: str) -> Path:
    """Copy one file; never more than it says it holds, nor more than the disk can spare."""
    size = files.info(place).get("size")
    free = shutil.disk_usage(next(above for above in target.parents if above.is_dir())).free
    spare = int(SHARE_OF_DISK * free)
    if size is not None and size > spare:
        raise ResourceLimit(
            f"it has {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB of temporary space are free",
            where=address,
            fix="Set TMPDIR to a folder with more space.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with files.open(place, "rb") as source, target.open("xb") as out:
        while piece := source.read(CHUNK):
            written += len(piece)
            if written > (spare if size is None else size):
                raise ResourceLimit("it is larger than it says", where=address, fix="Check the server.")
            out.write(piece)
    if size is not None and written != size:
        raise InputError("it ended early", where=address, fix=RETRY)
    return target


def _parts(name: str, address: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or parts[0].startswith("/"):
        raise InputError("a name there leads out of its folder", where=address, fix="Rename the file.")
    return parts
