"""Brings the files of a case here, checks that they are those its manifest listed, and takes them away afterwards."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from medseg.engine.journal import hash_channels, hash_files
from medseg.errors import InputError
from medseg.io.files.addresses import fetch, scheme_of
from medseg.io.files.archive import unpack_some
from medseg.io.files.temporary import temporary_folder
from medseg.types.scan import FoundScan, Recorded

# Of a time in a manifest, in seconds; copies between file systems round it.
SAME_TIME = 1e-3
# Of one without a fraction, which spreadsheets cut off.
SAME_SECOND = 1.0
AGAIN = "Copy it back as it was, or make the manifest again with `medseg inspect --manifest`."
MOVED = "If its folder was moved, give the folder that the manifest's paths are relative to with --root. Else: " + AGAIN
# Of a name with bytes that are none.
NO_UTF8 = "The manifest is not UTF-8, so that this name is another one: save it as CSV UTF-8 from the spreadsheet."
# Of a path that begins at the root of the file system.
MOVED_ABSOLUTE = (
    "If its folder was moved, replace the beginning of the paths in the manifest's columns path and archive, which "
    "--root does not change, or make it again with `medseg inspect --manifest --root FOLDER`: paths below FOLDER are "
    "then relative. Else: " + AGAIN
)


class MissingScan(InputError):
    """A scan is not where a manifest says; what was made of it before is still what it was."""


class Staged:
    """The files of one case, here for as long as it is in hand."""

    def __init__(self) -> None:
        self._folders = ExitStack()

    def folder(self) -> Path:
        """Return a temporary folder that is deleted by `close`, or when the process ends."""
        atexit.register(self.close)
        return self._folders.enter_context(temporary_folder())

    def close(self) -> None:
        """Delete what was brought here."""
        self._folders.close()
        atexit.unregister(self.close)


def listed_hash(found: FoundScan) -> str | None:
    """Return the hash of a case's input as its manifest has it; None where it lacks one."""
    digests = [scan.recorded.sha256 if scan.recorded is not None else "" for scan in found.channels or (found,)]
    if not all(digests):
        return None
    return hash_channels(digests) if found.channels else digests[0]


def is_here(found: FoundScan) -> bool:
    """Whether the files of a case are known and on this machine, before anything is brought here."""
    listed = [scan.recorded for scan in found.channels or (found,)]
    return all(one is None or (one.is_identified and not one.is_elsewhere) for one in listed)


def stage(found: FoundScan, staged: Staged) -> tuple[FoundScan, str]:
    """Bring a case's files here; return it with their paths, and the hash of its input.

    Raises
    ------
    InputError
        When a file is gone, cannot be had, or is not the one that the manifest lists.
    """
    scans = [_here(scan, staged) for scan in found.channels or (found,)]
    digests = [_checked(scan) for scan in scans]
    if not found.channels:
        return scans[0], digests[0]
    files = tuple(file for scan in scans for file in scan.files)
    return replace(found, files=files, channels=tuple(scans)), hash_channels(digests)


def _here(found: FoundScan, staged: Staged) -> FoundScan:
    listed = found.recorded
    if listed is None:
        return found
    files = found.files
    if listed.is_elsewhere:
        files = tuple(_brought(listed, staged))
    for path in files:
        if not path.exists():
            raise MissingScan(
                "the file that the manifest lists is not there", where=path.name, fix=_moved(listed, path.name)
            )
        if not path.is_file() and (listed.is_identified or not path.is_dir()):
            raise InputError("it is not a plain file", where=path.name, fix="Correct the manifest.")
    here = replace(found, files=files)
    return here if listed.is_identified else _identified(here)


def _moved(listed: Recorded, name: str) -> str:
    if any("\udc80" <= letter <= "\udcff" for letter in name):  # how Python reads bytes that are no UTF-8
        return NO_UTF8
    return MOVED_ABSOLUTE if listed.is_absolute else MOVED


def _brought(listed: Recorded, staged: Staged) -> list[Path]:
    folder = staged.folder()
    if listed.archive:
        archive = Path(listed.archive)
        if scheme_of(listed.archive) is not None:
            (archive,) = fetch(listed.archive, folder)
        elif not archive.is_file():
            raise MissingScan(
                "the archive that the manifest lists is not there", where=archive.name, fix=_moved(listed, archive.name)
            )
        inside = folder / "archive"
        inside.mkdir()
        return unpack_some(archive, listed.addresses, inside)
    if len(listed.addresses) == 1:
        return fetch(listed.addresses[0], folder)
    # By their places below the folder they share: a header may name the file of its voxels.
    places = [address.split("/") for address in listed.addresses]
    levels = zip(*(place[:-1] for place in places), strict=False)
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    return [
        path
        for address, place in zip(listed.addresses, places, strict=True)
        for path in fetch(address, folder, "/".join(place[shared:]))
    ]


def _identified(found: FoundScan) -> FoundScan:
    """Find out what a listed file or folder is: exactly one scan, which keeps its case id."""
    from medseg.io.discover import discover

    inside = discover(found.files)
    if len(inside.found) != 1:
        wrong = next((left for left in inside.skipped if left.corrupt), None)
        if wrong is not None and not inside.found:
            raise InputError(wrong.reason, where=wrong.path.name, fix=wrong.fix)
        raise InputError(
            f"there are {len(inside.found)} scans at the path of its row",
            where=found.case_id,
            fix="List each scan in a row of its own, as `medseg inspect --manifest` does.",
        )
    (scan,) = inside.found
    return replace(scan, case_id=found.case_id, file_name=found.file_name, recorded=found.recorded)


def _checked(found: FoundScan) -> str:
    """Hash a scan's files; raises where they are not those that were listed."""
    listed = found.recorded
    if listed is None:
        return hash_files(found.files)
    try:
        states = [path.stat() for path in found.files]
        digest = hash_files(found.files)
    except OSError as error:
        raise InputError(
            f"the file that the manifest lists cannot be read ({error.strerror or error})",
            where=found.files[0].name,
            fix=AGAIN,
        ) from error
    if listed.sha256:
        if digest != listed.sha256:
            raise InputError("its bytes are not those that the manifest lists", where=found.file_name, fix=AGAIN)
        return digest
    size, newest = sum(state.st_size for state in states), max(state.st_mtime for state in states)
    if listed.size is not None and size != listed.size:
        what = f"it has {size:,} bytes, and {listed.size:,} in the manifest"
        raise InputError(what, where=found.file_name, fix=AGAIN)
    modified = None if listed.is_elsewhere else listed.modified  # what is brought here gets a time of its own
    if modified is not None and abs(newest - modified) > (SAME_SECOND if modified.is_integer() else SAME_TIME):
        raise InputError("it was changed since the manifest was made", where=found.file_name, fix=AGAIN)
    return digest
