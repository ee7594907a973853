"""Finds the scan that a case's labels were made of, by its content: `input_sha256` of the case's record."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import chain, permutations
from pathlib import Path

from medseg.engine.journal import hash_channels, hash_files
from medseg.engine.run_files import INPUTS_FILE, read_inputs
from medseg.errors import InputError, MedsegError, UsageError
from medseg.io.discover import discover
from medseg.review.sources import FILE, CaseSource, read_sources
from medseg.types.scan import FoundScan

Mark = tuple[tuple[int, int], ...]
MOST_CHANNELS = 5
MOST_SCANS = 8  # of one case, in any order of which channels are looked for


class ScanFinder:
    """Finds scans below some files and folders; looks again once a run has added to the folder of results.

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
        self._results, self._scans = results, tuple(scans)
        self._digests: dict[tuple[Path, ...], tuple[Mark, str]] = {}  # of files, as they were when they were hashed
        self._lost: set[str] = set()  # cases whose scan was looked for last without being found
        self._opened: set[str] = set()  # cases whose scan was found by what it holds, whatever its name
        self._known: dict[str, tuple[FoundScan, ...]] = {}  # by input_sha256: the scan, or that of each channel
        self._all: tuple[FoundScan, ...] | None = None
        self._ids: frozenset[str] | None = None
        self._search: threading.Thread | None = None
        self._lock = threading.RLock()
        self._read: tuple[Mark, ...] = ()  # the files that say where scans are, as they were when they were read
        self._look()

    def find(self, case_id: str, input_sha256: str) -> tuple[FoundScan, ...]:
        """Return a case's scan, or that of each of a model's channels; their bytes are those the labels were made of.

        Raises
        ------
        InputError
            When no scan has these bytes.
        """
        known = self._known.get(input_sha256)
        if known is not None and self._joined(known) == input_sha256:
            return known
        self._look()
        changed = False
        for group, is_its_own in self._groups(case_id):
            scans = self._matching(group, input_sha256, alone=not is_its_own)
            if scans is not None:
                self._known[input_sha256] = scans
                self._opened.add(case_id)
                self._lost.discard(case_id)
                return scans
            changed = changed or (is_its_own and bool(group))
        self._lost.add(case_id)
        if changed:
            raise InputError(
                "the scan is there, and its bytes are not those that the labels were made of",
                where=case_id,
                fix="Give the folder that holds the scan as it was with --scans, or run `medseg predict` again.",
            )
        raise InputError(
            "its scan was not found", where=case_id, fix="Give the folder that holds it with --scans DIRECTORY."
        )

    def _matching(self, group: Sequence[FoundScan], input_sha256: str, *, alone: bool) -> tuple[FoundScan, ...] | None:
        """The scan of a group that has this content, or the scans that have it as channels in some order."""
        for found in group:
            if self._joined((found,)) == input_sha256:
                return (found,)
        if alone or not 2 <= len(group) <= MOST_SCANS:
            return None
        several = chain.from_iterable(permutations(group, count) for count in range(2, MOST_CHANNELS + 1))
        return next((scans for scans in several if self._joined(scans) == input_sha256), None)

    def _joined(self, scans: Sequence[FoundScan]) -> str:
        """Hash of a case made of these scans, as `medseg.engine.journal.hash_case` says; empty where one is gone."""
        digests = [self._digest(found) for found in scans]
        if "" in digests:
            return ""
        return digests[0] if len(digests) == 1 else hash_channels(digests)

    def _digest(self, found: FoundScan) -> str:
        """Hash of a scan's files, each read once unless it was written again; empty where one is gone."""
        try:
            mark = tuple((stat.st_mtime_ns, stat.st_size) for stat in (file.stat() for file in found.files))
            if (before := self._digests.get(found.files)) is None or before[0] != mark:
                before = self._digests[found.files] = (mark, hash_files(found.files))
        except OSError:
            return ""
        return before[1]

    def is_missing(self, case_id: str) -> bool:
        """Whether nothing has the case's name or place, or what has it is of other bytes, once the case was opened.

        Where nothing is at its place, everything is searched aside, and until that is done no case counts as missing.
        """
        self._look()
        if case_id in self._lost:
            return True
        if any(True for _ in self._near(case_id)):
            return False
        if self._search is None:
            self._search = threading.Thread(target=self._found_below, daemon=True, name="find scans")
            self._search.start()
        return self._ids is not None and case_id not in self._ids and case_id not in self._opened

    def wait(self) -> None:
        """Wait for the search aside."""
        if self._search is not None:
            self._search.join()

    def _look(self) -> None:
        """Read where scans are, and forget what was searched, when a run or a node has written that anew."""
        with self._lock:
            read = tuple(_mark(self._results / name) for name in (FILE, INPUTS_FILE))
            if read == self._read:
                return
            self._read = read
            self._roots = self._scans or tuple(path for path in read_inputs(self._results) if path.exists())
            self._sources = read_sources(self._results)
            self._all = self._ids = self._search = None
            self._lost.clear()
            self._opened.clear()

    def _near(self, case_id: str) -> Iterator[Path]:
        place = self._sources.get(case_id, CaseSource()).path
        for root in self._roots if place else ():
            near = root / place if root.is_dir() else root.with_name(place)
            if near.exists() and near != root.parent:
                yield near

    def _found_below(self) -> tuple[FoundScan, ...]:
        with self._lock:
            if self._all is None:
                self._all = _found(self._roots)
                self._ids = frozenset(found.case_id for found in self._all)
            return self._all

    def _groups(self, case_id: str) -> Iterator[tuple[tuple[FoundScan, ...], bool]]:
        """Scans that may be the case's, the likeliest first, and whether they have its name or its place."""
        for near in self._near(case_id):
            found = self._found_below() if near in self._roots else _found([near])
            own = self._named(found, case_id) if len(found) > MOST_SCANS else found
            yield own, True
        below = self._found_below()
        own = self._named(below, case_id)
        yield own, True
        yield tuple(found for found in below if found not in own), False

    def _named(self, scans: Sequence[FoundScan], case_id: str) -> tuple[FoundScan, ...]:
        """Those that have the case's name in their own, or are of its study."""
        study = self._sources.get(case_id, CaseSource()).study_uid
        return tuple(
            found
            for found in scans
            if case_id in (found.case_id, found.files[0].parent.name)
            or found.case_id.startswith(case_id)
            or (study and found.study_uid == study)
        )


def _mark(path: Path) -> Mark:
    """What changes whenever a file is written; one that is not there has a mark as well."""
    try:
        found = path.stat()
    except OSError:
        return ((0, 0),)
    return ((found.st_mtime_ns, found.st_size), (found.st_ino, 0))


def _found(paths: Sequence[Path]) -> tuple[FoundScan, ...]:
    try:
        return discover(paths).found if paths else ()
    except MedsegError:
        return ()
