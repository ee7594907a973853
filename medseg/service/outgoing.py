"""The DICOM objects under some files and folders, as far as sending them needs to know them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, MediaStorageDirectoryStorage

from medseg.errors import MedsegError
from medseg.io.dicom.decode import PIXEL_DATA
from medseg.io.dicom.header import lenient
from medseg.io.dicom.inflated import read_dicom
from medseg.io.dicom.whole import is_whole
from medseg.io.files.walk import Entry, walk
from medseg.io.recognize import recognize
from medseg.isolation.boundary import attempt, in_words
from medseg.service.archive import is_uid

WANTED = ["SOPClassUID", "SOPInstanceUID", "Rows"]
# What an archive did with an object that it stored all the same, by the status of PS3.4 B.2.3.
CHANGES = {
    0xB000: "changed values of it",
    0xB006: "left elements of it out",
    0xB007: "found that it does not match its SOP class",
}
# What a file is by its content that no archive is meant to have; only said of files that do not claim to be DICOM.
OTHER_KINDS = {"nifti", "nifti-pair", "analyze", "nrrd", "meta", "image2d", "arrays"}


@dataclass(frozen=True)
class Outgoing:
    """An object to send."""

    path: Path
    sop_class: UID
    instance: UID
    syntax: UID  # how it is encoded


@dataclass(frozen=True)
class Answer:
    """What an archive said of one object."""

    reason: str | None = None  # why it does not have it; None where it does
    note: str | None = None  # what it did with it beside storing it

    @classmethod
    def stored(cls, code: int) -> Answer:
        """Return the answer that it is stored, with the status of a warning or 0."""
        if not code:
            return cls()
        what = CHANGES.get(code, "has a warning of it")
        return cls(note=f"the archive stored it and {what} (0x{code:04X})")


@dataclass(frozen=True)
class PassedOver:
    """A file that is not sent, and why; `fails` where it is or may have been a DICOM object."""

    path: Path
    reason: str
    fails: bool = True


@lenient()
def outgoing(paths: Sequence[Path]) -> tuple[list[Outgoing], list[PassedOver]]:
    """List the DICOM objects under some files and folders, and every other file with the reason.

    Of different objects that share one UID none is sent, as nobody can tell which is the right one; a copy of a file is
    sent once.
    """
    entries, skipped = walk(paths)
    passed_over = [PassedOver(left.path, left.reason, left.corrupt) for left in skipped]
    found: dict[UID, list[Outgoing]] = {}
    for entry in entries:
        item = attempt(_look, entry)
        if isinstance(item, MedsegError):
            item = PassedOver(entry.shown, item.what)
        if isinstance(item, PassedOver):
            passed_over.append(item)
        else:
            found.setdefault(item.instance, []).append(item)
    items = []
    for same in found.values():
        if all(_is_copy(other.path, same[0].path) for other in same[1:]):
            items.append(same[0])
            continue
        passed_over += [
            PassedOver(item.path, f"another object with the same SOP instance UID is in {other.path.name}")
            for item, other in zip(same, [*same[1:], same[0]], strict=True)
        ]
    return items, passed_over


def _look(entry: Entry) -> Outgoing | PassedOver:
    path = entry.path
    what = recognize(path)
    if what.kind != "dicom":
        named = what.claim == "dicom" or entry.is_named
        known = what.kind in OTHER_KINDS or (what.kind == "other" and what.is_known)
        return PassedOver(entry.shown, what.reason or f"it is {what.kind}, not DICOM", named or not known)
    try:
        header = read_dicom(path, specific_tags=WANTED, stop_before_pixels=True)
        syntax = header.file_meta.get("TransferSyntaxUID")
        uids = syntax, header.get("SOPClassUID"), header.get("SOPInstanceUID")
        is_index = MediaStorageDirectoryStorage in (header.file_meta.get("MediaStorageSOPClassUID"), uids[1])
    except InvalidDicomError:
        return PassedOver(entry.shown, "it lacks the preamble of DICOM files, so how it is encoded is not known")
    except Exception as error:  # pydicom raises nearly anything on damaged files
        return PassedOver(entry.shown, f"it is damaged ({in_words(error)})")
    if is_index:
        # Archives do not store one.
        return PassedOver(entry.shown, "it is a DICOMDIR, a table of contents", fails=False)
    for keyword, value in zip(("transfer syntax UID", "SOP class UID", "SOP instance UID"), uids, strict=True):
        if not is_uid(str(value or "")):
            return PassedOver(entry.shown, f"it has no valid {keyword}")
    if not is_whole(path, str(syntax)) or ("Rows" in header and not _has_pixels(path)):
        return PassedOver(entry.shown, "it is cut off before its end")
    return Outgoing(path, header.SOPClassUID, header.SOPInstanceUID, syntax)


def _has_pixels(path: Path) -> bool:
    dataset = read_dicom(path, defer_size=1024, specific_tags=list(PIXEL_DATA))
    return any(tag in dataset for tag in PIXEL_DATA)


def _is_copy(path: Path, other: Path) -> bool:
    return path.stat().st_size == other.stat().st_size and all(
        a == b for a, b in zip(_chunks(path), _chunks(other), strict=True)
    )


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            yield chunk
