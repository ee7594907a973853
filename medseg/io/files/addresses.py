"""Files at addresses such as ``s3://bucket/scan.nii.gz``: fetched through fsspec, within bounds, or refused.

Only the schemes named here are taken: fsspec knows others that run commands or wrap one address in another.
"""

from __future__ import annotations

import re
import shutil
from http.client import responses
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from medseg.errors import InputError, MedsegError, MissingDependency, ResourceLimit, first_line
from medseg.io.files.byte_stream import CHUNK

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# An address misspelled, or one of fsspec's that wrap another; a single letter is a drive of Windows.
NEARLY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/:]")
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


def is_nearly_address(text: str) -> bool:
    """Whether a text is meant as an address, though none that is taken, such as ``s3:/bucket`` or ``zip::s3://x``."""
    return scheme_of(text) is None and NEARLY.match(text) is not None


def local_path(address: str) -> Path:
    """Return the path that a ``file://`` address stands for."""
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise InputError(
            "it names another machine", where=name_of(address), fix="Write file:///path, or the path itself."
        )
    return Path(unquote(parts.path))


def check_address(address: str) -> str:
    """Return an address with its scheme in lower case; raise where nothing is fetched from such a one."""
    scheme = scheme_of(address)
    known = f"Use a path, or {', '.join(f'{name}://' for name in PACKAGES)}."
    if scheme is None or "::" in address:
        what = "it is no address of the form scheme://place, which has two slashes and no '::'"
        raise InputError(what, where=name_of(address), fix=known)
    if scheme not in PACKAGES:
        raise InputError(f"scans are not fetched from {scheme}:// addresses", where=name_of(address), fix=known)
    if not address[len(scheme) :].strip(":/"):
        raise InputError(f"nothing follows {scheme}://", fix="Write the whole address: the server or bucket, the path.")
    return scheme + address[len(scheme) :]


def check_installed(address: str, where: str | None = None) -> None:
    """Raise `MissingDependency` unless what fetches from such an address is installed."""
    scheme = str(scheme_of(address))
    package = next((name for name in ("fsspec", PACKAGES[scheme]) if find_spec(name) is None), None)
    if package is not None:
        more = "" if scheme in ("s3", "http", "https", "memory") else f" {PACKAGES[scheme]}"
        fix = f"Install what fetches them: pip install 'medseg[remote]'{more}."
        raise MissingDependency(f"{scheme}:// addresses need {package}", where=where or name_of(address), fix=fix)


def join_address(root: str, path: str) -> str:
    """Return the address of a path below another address."""
    return f"{root.rstrip('/')}/{path}"


def name_of(address: str) -> str:
    """Return the name that a file at an address has, without a query such as a signature.

    Only of the web's addresses has the rest after ``?`` and ``#`` a meaning of its own; a bucket's keys hold both.
    """
    is_web = scheme_of(address) in ("http", "https")
    path = unquote(urlsplit(address).path) if is_web else SCHEME.sub("", address)
    return PurePosixPath(path).name or "scan"


def fetch(address: str, folder: Path, name: str | None = None) -> list[Path]:
    """Bring the file at an address, or the files below one that is a folder, into a local folder.

    No error names the address: it may hold a password, a signature, a patient's name.

    Raises `MissingDependency` where fsspec or what it needs for the scheme is not installed, `InputError` where the
    file cannot be had, `ResourceLimit` where the disk has no space for it.
    """
    check_address(address)
    files, place = _file_system(address)
    shown = name_of(address)
    try:
        if not files.isdir(place):
            return [_copied(files, place, folder / (name or name_of(address)), address)]
        below = sorted(files.find(place))
        if len(below) > MOST_FILES:
            raise ResourceLimit(f"{len(below):,} files lie there", where=shown, fix="Give the address of one scan.")
        start = len(place.rstrip("/")) + 1
        return [_copied(files, one, folder.joinpath(*_parts(one[start:], address)), address) for one in below]
    except MedsegError:
        raise
    except FileNotFoundError:
        raise InputError("there is nothing at this address", where=shown, fix="Correct the manifest.") from None
    except Exception as error:  # of the network, a server, credentials: each file system has errors of its own
        raise InputError(f"it cannot be fetched ({_reason(error, address)})", where=shown, fix=RETRY) from None


def _reason(error: BaseException, address: str) -> str:
    """Say what went wrong in words of which none is of the address."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status in responses:
        return f"{status} {responses[status]}"
    text, where = first_line(error), urlsplit(address)
    parts = f"{where.netloc.rpartition('@')[0]}/{where.path}?{where.query}#{where.fragment}"
    private = set(re.split(r"[/?&=@:#]", f"{parts}/{unquote(parts)}")) - {""}
    is_private = "://" in text or any(re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", text) for piece in private)
    return type(error).__name__ if is_private else text


def _file_system(address: str) -> tuple[Any, str]:
    check_installed(address)
    import fsspec

    try:
        files, place = fsspec.core.url_to_fs(address)
    except Exception as error:
        raise InputError(
            f"the address cannot be used ({_reason(error, address)})", where=name_of(address), fix=RETRY
        ) from None
    return files, str(place)


def _copied(files: Any, place: str, target: Path, address: str) -> Path:
    """Copy one file; never more than it says it holds, nor more than the disk can spare."""
    size = files.info(place).get("size")
    free = shutil.disk_usage(next(above for above in target.parents if above.is_dir())).free
    spare = int(SHARE_OF_DISK * free)
    if size is not None and size > spare:
        raise ResourceLimit(
            f"it has {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB of temporary space are free",
            where=name_of(address),
            fix="Set TMPDIR to a folder with more space.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with files.open(place, "rb") as source, target.open("xb") as out:
        while piece := source.read(CHUNK):
            written += len(piece)
            if written > (spare if size is None else size):
                raise ResourceLimit("it is larger than it says", where=name_of(address), fix="Check the server.")
            out.write(piece)
    if size is not None and written != size:
        raise InputError("it ended early", where=name_of(address), fix=RETRY)
    return target


def _parts(name: str, address: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or parts[0].startswith("/"):
        raise InputError("a name there leads out of its folder", where=name_of(address), fix="Rename the file.")
    return parts
