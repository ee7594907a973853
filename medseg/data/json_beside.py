"""JSON files beside a dataset's images: what should describe them and cannot be read, or is not read, is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medseg.config.safe_json import read_json_object
from medseg.data.layout_msd import DESCRIPTION, has_list
from medseg.errors import InputError

# Of more files with a fault, so many are named.
MOST_SAID = 2


def refuse_unreadable(path: Path) -> None:
    """Refuse a dataset whose `dataset.json`, or that itself, is no JSON object."""
    file = path if path.is_file() else path / DESCRIPTION
    if file.is_file() and file.suffix.lower() == ".json":
        read_json_object(file)


def not_read(path: Path) -> Iterator[str]:
    """Sentences on JSON files of a folder whose cases were found otherwise, that may have said what they are."""
    if (path / DESCRIPTION).is_file():
        keys = ", ".join(read_json_object(path / DESCRIPTION)) or "nothing"
        yield (
            f"{DESCRIPTION} is not read, nor the names in it: it has {keys}, but neither a list 'training' of "
            "cases nor nnU-Net's 'labels' and 'file_ending'"
        )
    files = [file for file in sorted(path.glob("*.json")) if not file.name.startswith(".")]
    lists = [file.name for file in files if has_list(file)]
    if len(lists) > 1:
        yield f"{', '.join(lists)} each list cases, and none is read; give one of them instead of the folder"
    faults = [fault for file in files if (fault := _fault(file))]
    yield from faults[:MOST_SAID]
    if len(faults) > MOST_SAID:
        yield f"{len(faults) - MOST_SAID} more JSON files cannot be read either"


def _fault(file: Path) -> str:
    try:
        read_json_object(file)
    except InputError as error:
        return f"{file.name} {error.what}, and is passed over" if "cannot" in error.what else ""
    return ""
