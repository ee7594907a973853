"""Finds the scan that a case's labels were made of, by its content: `input_sha256` of the case's record."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from medseg.engine.journal import hash_files
from medseg.engine.run_files import read_inputs
from medseg.errors import InputError, MedsegError, UsageError
from medseg.harmless import from_cell
from medseg.io.discover import discover
from medseg.types.scan import FoundScan

Mark = tuple[tuple[int, int], ...]


class ScanFinder:
    """Finds scans below some files and folders.

    Parameters
    ----------
    results : Path
        Folder of results, whose ``sources.csv`` says where below an input each scan was.
    scans : sequence of Path
        Where to look; without any, where the runs into the folder found their inputs.
    """

    def __init__(self, results: Path, scans: Sequence[Path] = ()) -> None:
        for path in scans:
            if not path.exists():
                raise UsageError("there is no such file or folder", where=f"--scans {path}", fix="Check the path.")
        self._roots = tuple(scans) or tuple(path for path in read_inputs(results) if path.exists())
        self._places = _places(results / "sources.csv")
        self._known: dict[str, tuple[FoundScan, Mark]] = {}  # by input_sha256, as the files were when they were hashed
        self._all: tuple[FoundScan, ...] | None = None
        self._ids: frozenset[str] | None = None
        self._search: threading.Thread | None = None
        self._lock = threading.Lock()

    def find(self, case_id: str, input_sha256: str) -> FoundScan:
        """Return a case's scan; its bytes are those that the labels were made of.

        Raises
        ------
        InputError
            When no scan has these bytes.
        """
        if (before := self._known.get(input_sha256)) and before[1] == _mark(before[0]):
            return before[0]
        changed = False
        for found, is_its_own in self._candidates(case_id):
            try:
                mark, digest = _mark(found), hash_files(found.files)
            except OSError:
                continue
            self._known[digest] = (found, mark)
            if digest == input_sha256:
                return found
            changed = changed or is_its_own
        if changed:
            raise InputError(
                "the scan is there, and its bytes are not those that the labels were made of",
                where=case_id,
                fix="Give the folder that holds the scan as it was with --scans, or run `medseg predict` again.",
            )
        raise InputError(
            "its scan was not found", where=case_id, fix="Give the folder that holds it with --scans DIRECTORY."
        )

    def is_missing(self, case_id: str) -> bool:
        """Whether nothing has the case's name or place; the content is looked at when the case is opened.

        Where nothing is at its place, everything is searched aside, and until that is done no case counts as missing.
        """
        if any(True for _ in self._near(case_id)):
            return False
        if self._search is None:
            self._search = threading.Thread(target=self._found_below, daemon=True, name="find scans")
            self._search.start()
        return self._ids is not None and case_id not in self._ids

    def wait(self) -> None:
        """Wait for the search aside."""
        if self._search is not None:
            self._search.join()

    def _near(self, case_id: str) -> Iterator[Path]:
        place = self._places.get(case_id)
        for root in self._roots if place else ():
            near = root / str(place) if root.is_dir() else root.with_name(str(place))
            if near.exists() and near != root.parent:
                yield near

    def _found_below(self) -> tuple[FoundScan, ...]:
        with self._lock:
            if self._all is None:
                self._all = _found(self._roots)
                self._ids = frozenset(found.case_id for found in self._all)
            return self._all

    def _candidates(self, case_id: str) -> Iterator[tuple[FoundScan, bool]]:
        """Scans that may be the case's, the likeliest first, and whether each has its name or its place."""
        tried: set[tuple[Path, ...]] = set()
        for near in self._near(case_id):
            for found in _found([near]):
                tried.add(found.files)
                yield found, True
        for found in sorted(self._found_below(), key=lambda found: found.case_id != case_id):
            if found.files not in tried:
                yield found, found.case_id == case_id


def _found(paths: Sequence[Path]) -> tuple[FoundScan, ...]:
    try:
        return discover(paths).found if paths else ()
    except MedsegError:
        return ()


def _mark(found: FoundScan) -> Mark:
    """What changes when a file is written again."""
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in (file.stat() for file in found.files))


def _places(sources: Path) -> dict[str, str]:
    """Read where below an input each case's scan was."""
    try:
        with sources.open(encoding="utf-8", newline="") as stream:
            return {row["case_id"]: from_cell(row["path"]) for row in csv.DictReader(stream)}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error):
        return {}
