"""What was measured of each case, kept line by line while an audit runs, so that one that was stopped resumes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np

from medseg.config.safe_json import parse_json
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.examine import Examined
from medseg.io.files.atomic import write_text
from medseg.versions import versions

FILE = "examined.jsonl"


class ExaminedJournal:
    """The file ``examined.jsonl`` of a folder: one line a case, the last of which a stop may have cut.

    A line counts as long as the case's files, what is known of the dataset, and what medseg measures are the same.
    """

    def __init__(self, folder: Path, data: Dataset, most: int) -> None:
        self.path = folder / FILE
        self._reading = _digest(_facts(data), most, sorted(_classes(Examined)), _field_names(), versions()["medseg"])

    def read(self, cases: Sequence[DatasetCase]) -> dict[str, Examined]:
        """Cases that need not be read again, by case id; lines that are of no use are deleted."""
        if not self.path.is_file():
            return {}
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        by_key = {self._key(case): case for case in cases}
        known: dict[str, Examined] = {}
        valid = []
        for line in lines:
            try:
                row = parse_json(line)
                case = by_key.get(row["key"])
                one = None if case is None else _from_json(row["examined"], case)
            except (ValueError, KeyError, TypeError):  # cut by a stop, or by another version
                continue
            if case is not None and isinstance(one, Examined):
                known[case.case_id] = one
                valid.append(line)
        if len(valid) < len(lines):
            write_text(self.path, "".join(valid))
        return known

    def add(self, one: Examined) -> None:
        """Keep a case."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": self._key(one.case), "examined": _to_json(one)})
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def _key(self, case: DatasetCase) -> str:
        return _digest(self._reading, case.case_id, case.annotated, case.frame, case.parts, list(_file_states(case)))


def _facts(data: Dataset) -> list[Any]:
    """All that decides how a case's files are read, the cases aside."""
    aside = {"name", "folder", "layout", "cases", "license", "description", "annotated", "read_as", "ambiguous"}
    return [(entry.name, repr(getattr(data, entry.name))) for entry in fields(data) if entry.name not in aside]


def _file_states(case: DatasetCase) -> Iterator[tuple[str, int, int]]:
    for path in case.files:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            state = file.stat() if file.is_file() else None
            yield str(file), state.st_size if state else -1, state.st_mtime_ns if state else -1


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _classes(root: type) -> dict[str, type]:
    """Dataclasses that fields of another hold, by name: no other is made from the file."""
    found: dict[str, type] = {}
    left: list[Any] = [root]
    while left:
        one = left.pop()
        left += get_args(one)
        if isinstance(one, type) and is_dataclass(one) and one is not DatasetCase and one.__name__ not in found:
            found[one.__name__] = one
            left += get_type_hints(one).values()
    return found


def _field_names() -> list[tuple[str, list[str]]]:
    return sorted((name, [entry.name for entry in fields(one)]) for name, one in _classes(Examined).items())


def _to_json(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, DatasetCase):
        return {"case": value.case_id}
    if is_dataclass(value):
        return {
            "class": type(value).__name__,
            "fields": {f.name: _to_json(getattr(value, f.name)) for f in _init(value)},
        }
    if isinstance(value, np.ndarray):
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": content, "dtype": value.dtype.str, "shape": value.shape}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return {"tuple": [_to_json(part) for part in value]}
    if isinstance(value, Mapping):
        return {"pairs": [[_to_json(key), _to_json(part)] for key, part in value.items()]}
    raise TypeError(f"{type(value)} cannot be kept")


def _from_json(value: Any, case: DatasetCase) -> Any:
    if not isinstance(value, dict):
        return value
    if "case" in value:
        return case
    if "class" in value:
        made = _classes(Examined)[value["class"]]
        return made(**{name: _from_json(part, case) for name, part in value["fields"].items()})
    if "array" in value:
        content = np.frombuffer(base64.b64decode(value["array"]), np.dtype(value["dtype"]))
        return content.reshape(value["shape"]).copy()
    if "tuple" in value:
        return tuple(_from_json(part, case) for part in value["tuple"])
    return {_from_json(key, case): _from_json(part, case) for key, part in value["pairs"]}


def _init(value: Any) -> list[Any]:
    return [entry for entry in fields(value) if entry.init]
