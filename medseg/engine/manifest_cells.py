"""The cells of a manifest's row, each read as what its column holds; one that cannot be is refused by its column."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

from medseg.config.safe_json import parse_json
from medseg.errors import InputError
from medseg.harmless import from_cell
from medseg.io.files.addresses import scheme_of
from medseg.io.files.case_id import safe
from medseg.io.files.patient_names import NAMED_NUMBER, names_a_patient, public_name

CORRECT = "Correct the row, or make the manifest again with `medseg inspect --manifest`."
EMPTY = "Empty the cell."
LONGEST_SHOWN = 60
# What programs write where they have no value.
NO_VALUE = {"nan", "<na>", "#n/a", "none", "null"}
NO = {"no", "false", "0"}
# Case ids that medseg makes of hashes, some of which have no letter and look like a patient's number.
OWN_ID = re.compile(r"[a-z][a-z0-9]{0,7}-[0-9a-f]{10}")

Row = Mapping[str, str]


def wrong(column: str, text: str, what: str, fix: str = CORRECT) -> InputError:
    """Return the error of a cell; its text is quoted where it does not look like a patient's name."""
    short = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    quoted = "its text" if names_a_patient(text) else f"'{short}'"
    return InputError(f"column {column}: {quoted} {what}", fix=fix)


def case_id_in(row: Row, keep_names: bool) -> str:
    """The case's id, which becomes a folder's name: none that leads anywhere else, and none that medseg uses itself."""
    name = from_cell(row["case_id"])
    if not name:
        raise InputError("column case_id: it is empty", fix="Write an id there.")
    if safe(name) != name:
        raise wrong("case_id", name, "cannot be a case id", f"Write for instance {safe(public_name(name))}.")
    is_own = OWN_ID.fullmatch(name) is not None and NAMED_NUMBER.search(name) is None
    return name if keep_names or is_own else safe(public_name(name))


def choice(row: Row, column: str, known: Collection[str]) -> str:
    """One of several words, in lower case; empty where the table has none."""
    text = row.get(column, "")
    if text and text.lower() not in known:
        raise wrong(column, text, f"is no {column}", f"Write one of {', '.join(known)}, or leave it empty.")
    return text.lower()


def uid(row: Row, column: str) -> str | None:
    """A UID as the series has it, however odd; None where the cell is empty."""
    text = row.get(column, "")
    if text.lower() in NO_VALUE:
        raise wrong(column, text, "stands for no UID", EMPTY)
    return text or None


def reason_of_loss(row: Row) -> str | None:
    """Why a part of the scan seems lost; None where the cell is empty."""
    text = row.get("incomplete", "")
    if text.lower() in NO_VALUE | NO:
        raise wrong("incomplete", text, "is no reason why a part of the scan is lost", EMPTY)
    return text or None


def texts(row: Row, column: str) -> list[str]:
    """A list of texts in JSON; empty where the cell is."""
    text = row.get(column, "")
    if not text:
        return []
    found = _json(text)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise wrong(column, text, 'is no list in JSON, such as ["a", "b"]')
    return found


def names(row: Row) -> list[str]:
    """The files of the scan, distinct."""
    found = texts(row, "files")
    if len(set(found)) < len(found):
        raise InputError("column files: it names a file twice", fix=CORRECT)
    return found


def check_inside(name: str, column: str) -> None:
    """Refuse the name of a file that is not below its path."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or "\0" in name or ".." in parts or parts[0].startswith("/") or scheme_of(name) is not None:
        raise InputError(f"column {column}: a name there leads out of its path", fix=CORRECT)


def volume(row: Row, file_format: str) -> str | None:
    """Which volume of a series; None where the cell is empty."""
    text = row.get("volume", "")
    if not text:
        return None
    if file_format != "dicom":
        raise wrong("volume", text, "is of a DICOM series that holds several volumes, and this is none", EMPTY)
    found = _json(text)
    if not isinstance(found, str):
        what = "is not as `medseg inspect --manifest` writes it, a text in quotation marks"
        raise wrong("volume", text, what, "Copy it from there, or empty the cell where the series holds one volume.")
    return found


def whole(row: Row, column: str, *, least: int | None = None) -> int | None:
    """A whole number; None where the cell is empty."""
    text = row.get(column, "")
    plain = re.sub(r"[.,]0$", "", text)  # as programs write a column that has gaps
    if not plain:
        return None
    if re.fullmatch(r"[+-]?[0-9]{1,18}", plain) is None:
        raise wrong(column, text, "is no whole number")
    if least is not None and int(plain) < least:
        raise wrong(column, text, f"is less than {least}")
    return int(plain)


def seconds(row: Row, column: str) -> float | None:
    """A time in seconds since 1970; None where the cell is empty."""
    text = row.get(column, "")
    if not text:
        return None
    try:
        found = float(text.replace(",", ".")) if "_" not in text else math.nan  # many spreadsheets write a comma
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise wrong(column, text, "is no number of seconds")
    if "e" in text.lower():
        raise wrong(column, text, "was rounded, as spreadsheets do", f"Empty the cell. {CORRECT}")
    return found


def sha256(row: Row) -> str:
    """The SHA-256 of the scan's files, in lower case; empty where the cell is."""
    text = row.get("input_sha256", "").lower()
    if text and re.fullmatch(r"[0-9a-f]{64}", text) is None:
        raise wrong("input_sha256", text, "is no SHA-256")
    return text


def _json(text: str) -> object:
    try:
        return parse_json(text)
    except ValueError:
        return None
