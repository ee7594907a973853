"""What is done and need not be done again: one `status.json` a case, written last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medseg.config.safe_json import parse_json
from medseg.harmless import json_text
from medseg.io.files.atomic import write_text
from medseg.io.files.file_hash import file_sha256
from medseg.types.run import CaseOutcome
from medseg.types.scan import FoundScan

STATUS_FILE = "status.json"
RUNNING_FILE = ".medseg-running"  # in the folder of a case that is being done again, where it stays
# Of the record. Those of format 1 had no such key, notes that were warnings, and volumes as rows.
FORMAT = 2


@dataclass(frozen=True)
class Status:
    """A case's record on disk: `key` hashes everything that decides the result, `outputs` maps name to SHA-256."""

    state: Literal["done", "failed", "withheld"]
    key: str
    outputs: Mapping[str, str]
    content: Mapping[str, Any]


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 over the contents of some files, whatever their names and order on disk."""
    return hash_channels(sorted(map(file_sha256, files)))


def hash_case(found: FoundScan) -> str:
    """SHA-256 over what a case is made of; of several channels, also over which is which."""
    if not found.channels:
        return hash_files(found.files)
    return hash_channels([hash_files(scan.files) for scan in found.channels])


def hash_channels(digests: Sequence[str]) -> str:
    """SHA-256 of a case of several channels, of the hashes of each one's files in the order of the channels."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def case_key(input_hash: str, identity: Mapping[str, Any]) -> str:
    """Hash of the input's content and of everything that decides what is made of it."""
    text = json.dumps({"input": input_hash, **identity}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def read_status(folder: Path) -> Status | None:
    """Read a case's record; None where there is none that can be read, or it is of another format."""
    content = _read(folder)
    try:
        if content is None or content["format"] != FORMAT:
            return None
        return Status(content["state"], content["key"], content["outputs"], content)
    except KeyError:
        return None


def input_hash(folder: Path) -> str:
    """SHA-256 of a case's input, as its record has it; empty where there is none."""
    status = read_status(folder)
    return "" if status is None else str(status.content.get("input_sha256", ""))


def is_outdated(folder: Path) -> bool:
    """Whether a folder has a record of an earlier version, which does not count as done."""
    content = _read(folder)
    return content is not None and content.get("format") != FORMAT


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        content = parse_json((folder / STATUS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def current(folder: Path, key: str) -> Status | None:
    """Return the record when the case is done or withheld with this key and its files are there, unchanged."""
    status = read_status(folder)
    if status is None or status.state == "failed" or status.key != key:
        return None
    for name, digest in status.outputs.items():
        path = folder / name
        if not path.is_file() or file_sha256(path) != digest:
            return None
    return status


def finish(folder: Path, key: str, input_hash: str, outcome: CaseOutcome, model: str = "") -> tuple[str, ...]:
    """Write the record of a case that is done, failed or withheld; return the names of its output files.

    `model` is the identity of the model that it was for: a folder may hold cases of several, as a node's does.

    The record holds no times, so that the same input, model and options always leave the same bytes.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    content = {
        "format": FORMAT,
        **outcome.to_json(),
        "input_sha256": input_hash,
        "model": model,
        "key": key,
        "outputs": {path.name: file_sha256(path) for path in files},
    }
    write_text(folder / STATUS_FILE, json_text(content))
    return tuple(path.name for path in files)


def change_fix(folder: Path, fix: str) -> None:
    """Write another fix into the record of a case: not everybody has the options of `medseg predict`."""
    path = folder / STATUS_FILE
    content = parse_json(path.read_text(encoding="utf-8"))
    write_text(path, json_text({**content, "fix": fix}))
