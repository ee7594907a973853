"""Takes the patients out of a folder of DICOM objects, keeping what refers to what."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    MediaStorageDirectoryStorage,
    RTStructureSetStorage,
)

from medseg.errors import InputError, MedsegError, UsageError
from medseg.io.dicom.header import lenient, looks_like_dicom, read_header
from medseg.io.dicom.inflated import read_dicom
from medseg.io.files.atomic import write_bytes
from medseg.io.files.walk import Entry, real, walk
from medseg.isolation.boundary import attempt, in_words
from medseg.privacy.burned_in import MAPS, TOMOGRAPHY, uncertainty_about_pixels
from medseg.privacy.cleaning import Cleaning, Kept
from medseg.privacy.confidentiality import deidentify
from medseg.privacy.identifiers import ANYWHERE, uids_of
from medseg.privacy.record import Record
from medseg.types import Skipped

DOCUMENTS = {
    RTStructureSetStorage,
    BasicTextSRStorage,
    EnhancedSRStorage,
    ComprehensiveSRStorage,
    Comprehensive3DSRStorage,
}
SHORTEST_KEY = 16
LOOK = "Look at it; if nothing in the image shows who the patient is, run again with --allow-burned-in."
TABLE_OF_CONTENTS = "it is a DICOMDIR, a table of contents that names the patients; make a new one of what was written"
PROFILE_ALONE = Kept()
LETTERS = 4  # of a word that hardly stands among numbers or pixels by chance
# Sequences inside sequences, beyond what reports and plans have.
DEEPEST = 16


@dataclass(frozen=True)
class Deidentified:
    """What became of a folder."""

    written: tuple[Path, ...]
    skipped: tuple[Skipped, ...]  # every file that was not written, and why; `failed` marks DICOM objects
    # Attributes outside the profile's table that held an identifier, and in how many places; they were emptied.
    leaks: dict[str, int]


def read_key(path: Path | None, out: Path | None = None) -> bytes:
    """Read the secret of a run from a file, made if missing and then readable by its owner alone.

    Without a path, a secret is made up and forgotten: nobody can link this run's objects to another's, or back. It
    must not lie in the output folder, which is given away.
    """
    if path is None:
        return secrets.token_bytes(32)
    if out is not None and path.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            "the key lies inside the output folder, and whoever has both can tell who the patients are",
            where=f"--key {path}",
            fix="Name a file outside --out.",
        )
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
    key = path.read_bytes().strip()
    if len(key) < SHORTEST_KEY:
        raise UsageError(
            f"a key needs at least {SHORTEST_KEY} bytes", where=path, fix="Name a file that does not exist yet."
        )
    return key


def deidentify_folder(
    inputs: Sequence[Path], out: Path, *, key: bytes, allow_burned_in: bool = False, kept: Kept = PROFILE_ALONE
) -> Deidentified:
    """Write copies without the patient of the DICOM objects under some files and folders.

    CT, MR and PET, segmentations, parametric maps, structure sets and structured reports are known; anything else is
    skipped. So are objects whose pixels may carry the patient's name, unless a person has looked. UIDs are replaced by
    a keyed hash, everywhere alike, so that what referred to what still does, across runs with the same key too.

    `out`, which must lie outside the inputs, gets ``<patient>/<series>/<instance>.dcm``, all by their new names, and a
    report and a log without anything of the old; one that holds objects of another key, or of other options, raises
    `UsageError`. `allow_burned_in` takes objects whose pixels may show the patient: a
    person has looked at them. `kept` names what stays beyond the basic profile.
    """
    if any(real(out).is_relative_to(real(path)) for path in inputs if path.is_dir()):
        raise UsageError("the output folder lies inside the input", where=out, fix="Choose a folder beside it.")
    entries, skipped = walk(inputs)
    cleaning = Cleaning(key, kept)
    for entry in entries:
        _learn(entry.path, cleaning)
    record = Record.begin(out, key, kept)
    kinds: dict[Path, str] = {}  # of each file written
    reasons: list[str] = []
    for entry in entries:
        one = attempt(_take, entry, out, cleaning, allow_burned_in, kinds)
        if isinstance(one, Skipped):
            skipped.append(one)
        elif isinstance(one, MedsegError):
            skipped.append(Skipped.for_error(entry.shown, one))
            # What other packages say may quote the header, which must not come into the report.
            reasons.append(one.what if isinstance(one, _Rejected) else "it is damaged or too large")
        else:
            target, kind = one
            kinds[target] = kind
    if kinds:
        record.write(kinds.values(), reasons, cleaning.leaks, allow_burned_in=allow_burned_in)
    else:
        record.withdraw()
    return Deidentified(tuple(kinds), tuple(skipped), cleaning.leaks)


def _take(
    entry: Entry, out: Path, cleaning: Cleaning, allow_burned_in: bool, written: Collection[Path]
) -> tuple[Path, str] | Skipped:
    """Write a copy of an object; return its file and kind, or why it is none to write."""
    dataset = _read(entry.path)
    if dataset is None:
        return Skipped(entry.shown, "it is not DICOM", corrupt=entry.is_named)
    if dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        fix = "Give the folder it lies in." if entry.is_named else None
        return Skipped(entry.shown, TABLE_OF_CONTENTS, fix, corrupt=entry.is_named)
    with _within_the_rules():
        kind = str(dataset.SOPClassUID.name)
        return _write(dataset, out, cleaning, allow_burned_in, written), kind


@lenient()
def _learn(path: Path, cleaning: Cleaning) -> None:
    """Take in whom an object names, and when it was made; one that cannot be read is rejected later."""
    try:
        read_header(path)  # rejects what would inflate beyond bounds
        header = read_dicom(path, stop_before_pixels=True, force=True)
        header.decode()
        cleaning.learn(header)
    except Exception:  # pydicom raises nearly anything on damaged files
        return


class _Rejected(InputError):
    """An object was skipped for a reason that says nothing of its content."""


@lenient()
def _read(path: Path) -> Dataset | None:
    """Whole object; None where the file is something else."""
    with path.open("rb") as stream:
        if not looks_like_dicom(stream.read(132)):
            return None
    read_header(path)  # rejects what is damaged or would inflate beyond bounds
    try:
        dataset = read_dicom(path, force=True)
        if dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            return dataset
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.file_meta.TransferSyntaxUID  # noqa: B018 - must be there
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise _Rejected("it is damaged", fix="Copy it again from the archive.") from error
    return dataset


@contextmanager
def _within_the_rules() -> Iterator[None]:
    """Turn whatever pydicom raises of a header that breaks DICOM's rules into one reason to skip it."""
    try:
        yield
    except (MedsegError, MemoryError):
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk; pydicom raises others of a header
            raise
        # A decoder written in Rust panics with an error that is no `Exception`; signals and exits must still pass.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise _Rejected(
            f"the object breaks DICOM's rules in a way that leaves it unclear what it holds ({in_words(error)})",
            fix="Omit it, or correct it first.",
        ) from error


def _check_depth(dataset: Dataset) -> None:
    """Reject an object whose sequences are nested too deeply, before pydicom writes it.

    Of whatever goes wrong inside, pydicom repeats the whole traceback at every level, longer each time: at a few
    hundred levels, where Python's own limit is met, for ever.
    """
    level, depth = [dataset], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _Rejected(
                f"its sequences are nested more than {DEEPEST} deep",
                fix="Write it again with the program that made it.",
            )
        level = [item for one in level for element in one if element.VR == "SQ" for item in element.value]


@lenient()
def _write(dataset: Dataset, out: Path, cleaning: Cleaning, allow_burned_in: bool, written: Collection[Path]) -> Path:
    _check_depth(dataset)
    kind = dataset.SOPClassUID
    uncertainty = uncertainty_about_pixels(dataset)
    if uncertainty is not None and not allow_burned_in:
        raise _Rejected(uncertainty, fix=LOOK)
    if uncertainty is None and kind not in TOMOGRAPHY | MAPS | DOCUMENTS:
        raise _Rejected(
            f"objects of its kind ({kind.name}) are not known to be clean afterwards",
            fix="Share what is of another kind, or ask for support of this one.",
        )
    words = deidentify(dataset, cleaning)
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    content = buffer.getvalue()
    if _names_anybody(content, words - uids_of(dataset)):
        raise _Rejected(
            "a name or identifier is left in a place that cannot be cleaned", fix="Omit it, and report its kind."
        )
    series = str(dataset.get("SeriesInstanceUID") or "")
    target = out / str(dataset.PatientID) / _short(series) / f"{_short(dataset.SOPInstanceUID)}.dcm"
    if target in written and target.read_bytes() != content:
        raise _Rejected("another object with the same SOP instance UID was written", fix="Find out which is right.")
    write_bytes(target, content)
    return target


def _names_anybody(content: bytes, words: set[str]) -> bool:
    """Whether the bytes of a file hold a word that would hardly stand there by chance."""
    plain = content.lower()
    telling = (word for word in words if len(word) >= ANYWHERE and sum(sign.isalpha() for sign in word) >= LETTERS)
    return any(word.lower().encode(code) in plain for word in telling for code in ("utf-8", "utf-16-le"))


def _short(uid: str) -> str:
    """Name of a folder or file: our UIDs without what all of them begin with, others as they are."""
    return uid.removeprefix("2.25.")[:64] or "none"
