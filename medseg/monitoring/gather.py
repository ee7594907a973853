"""Gathers the history from folders of results: their records, tables, runs and reviews."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.engine.journal import STATUS_FILE, Status, read_status
from medseg.engine.run_files import noted_seconds
from medseg.errors import InputError, MedsegError, UsageError
from medseg.harmless import name_from_cell
from medseg.io.files.case_id import TAKEN
from medseg.io.files.csv_table import columns_and_rows
from medseg.monitoring.history import CaseRecord
from medseg.monitoring.scan_facts import Facts, scan_facts
from medseg.review.made_by import made_by
from medseg.review.opening import open_store
from medseg.review.review_case import ReviewCase
from medseg.review.scan_finder import ScanFinder

# Columns of measurements.csv that are followed, a class.
MEASURES = ("n_components", "boundary_entropy")
TABLE = "measurements.csv"
MOST_NAMED = 20  # cases in a warning


@dataclass(frozen=True)
class Wanted:
    """What to read beside the records.

    - `scans`: where the scans are, if they were moved; `known`: what is known of scans already.
    - `with_scans`: whether scans are read at all.
    """

    scans: tuple[Path, ...] = ()
    known: Mapping[tuple[str, str, str], Facts] | None = None
    with_scans: bool = True


@dataclass
class Gathered:
    """Records of cases, and what a reader must know of those that are not there.

    - `skipped`: cases without a record that can be read; `incomplete`: cases of which figures are missing, and why.
    """

    records: list[CaseRecord] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    incomplete: list[tuple[str, str]] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)  # folders that were given more than once
    places: set[Path] = field(default_factory=set)

    @property
    def notes(self) -> list[str]:
        """Return warnings of what is skipped, in sentences."""
        notes = [
            f"Warning: the folder {name} was given more than once; its cases are counted once."
            for name in self.repeated
        ]
        if self.skipped:
            notes.append(
                f"Warning: {counted(len(self.skipped), 'case')} skipped, because {STATUS_FILE} is missing, cannot be "
                f"read or is of another version: {_some(self.skipped)}."
            )
        if self.incomplete:
            texts = [f"{case_id} ({reason})" for case_id, reason in self.incomplete]
            notes.append(f"Warning: figures are missing of {counted(len(texts), 'case')}: {_some(texts)}.")
        return notes


def gather(folders: Sequence[Path], wanted: Wanted, into: Gathered) -> list[CaseRecord]:
    """Return a record of each case that has one, folder by folder as given, in each by when it was segmented.

    A folder that was read into `into` before is not read again.

    Raises
    ------
    UsageError
        When a folder is not there, or holds no case that can be read.
    """
    records: list[CaseRecord] = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError("there is no such folder", where=folder, fix="Give the --out of `medseg predict`.")
        if folder.resolve() in into.places:
            into.repeated.append(folder.resolve().name)
            continue
        into.places.add(folder.resolve())
        n_before = len(into.skipped)
        found = list(_of_folder(folder, wanted, into))
        if not found and len(into.skipped) > n_before:
            raise UsageError(
                f"of none of its cases {STATUS_FILE} can be read", where=folder, fix="Segment them again, or omit it."
            )
        if not found:
            raise UsageError(
                "this folder holds no results of `medseg predict`", where=folder, fix="Give the --out of one."
            )
        records += found
    into.records += records
    return records


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _of_folder(folder: Path, wanted: Wanted, into: Gathered) -> Iterator[CaseRecord]:
    model, seconds, cases = _model(folder), _seconds(folder), _reviewed(folder)
    finder = ScanFinder(folder, wanted.scans) if wanted.with_scans else None
    for place in _case_folders(folder):
        status = read_status(place)
        if status is None:
            into.skipped.append(place.name)
            continue
        key = status.key[:16]
        texts, figures = (wanted.known or {}).get((folder.resolve().name, place.name, key), ({}, {}))
        if not texts and finder is not None and status.content.get("input_sha256"):
            texts, figures = scan_facts(finder, place.name, status.content["input_sha256"])
        own_figures, lacking = _figures(place, status)
        if lacking:
            into.incomplete.append((place.name, lacking))
        figures = {**figures, **own_figures, **seconds.get(place.name, {})}
        case = cases.get(place.name)
        own = str(status.content.get("model") or model)  # a folder of a node holds cases of several models
        yield CaseRecord(folder.resolve().name, place.name, key, status.state, own, texts, figures, _verdict(case))


def _case_folders(folder: Path) -> list[Path]:
    """Folders of cases by when these were segmented; one that lost its record is known by its table."""
    places = [
        place
        for place in folder.iterdir()
        if place.name.lower() not in TAKEN
        and not place.name.startswith(".")
        and any((place / name).is_file() for name in (STATUS_FILE, TABLE))
    ]
    return sorted(places, key=lambda place: (_moment(place / STATUS_FILE), place))


def _moment(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def _model(folder: Path) -> str:
    try:
        return str(made_by(folder).identity)
    except InputError:
        return ""


def _seconds(folder: Path) -> dict[str, dict[str, float]]:
    """How long each case of the last run took; a case that was up to date took none."""
    noted = {case_id: {"seconds": seconds} for case_id, seconds in noted_seconds(folder).items()}  # by a node
    try:
        cases = parse_json((folder / "run.json").read_text(encoding="utf-8"))["cases"]
        return {**noted, **{one["case_id"]: {"seconds": float(one["seconds"])} for one in cases if one["seconds"] > 0}}
    except (OSError, ValueError, KeyError, TypeError):
        return noted


def _reviewed(folder: Path) -> Mapping[str, ReviewCase]:
    try:
        store = open_store(folder)
    except MedsegError:  # nobody reviewed it
        return {}
    with store:
        return store.all_cases()


def _verdict(case: ReviewCase | None) -> str:
    if case is None or not case.is_judged:
        return ""
    return "corrected" if case.is_accepted_corrected else case.state


def _figures(folder: Path, status: Status) -> tuple[dict[str, float], str]:
    """Volumes and numbers of objects, what can be said of each class without a reference, and warnings.

    The text says what is missing of them, and is empty where nothing is.
    """
    found: dict[str, float] = {"warnings": float(len(status.content.get("warnings") or ()))}
    if status.state != "done":
        return found, ""
    volumes: Mapping[str, Mapping[str, Any]] = status.content.get("volumes") or {}
    for name, figures in volumes.items():
        for key in ("volume_ml", "area_mm2", "objects"):
            if isinstance(figures.get(key), int | float):
                found[f"{name}.{key}"] = float(figures[key])
    lacking = ""
    try:
        found |= _table(folder / TABLE)
    except FileNotFoundError:
        if TABLE in status.outputs:  # older results have no such table, and the volumes are known without it
            lacking = f"{TABLE} is missing"
    except (OSError, KeyError, ValueError):
        lacking = f"{TABLE} cannot be read"
    finite = {name: value for name, value in found.items() if math.isfinite(value)}
    infinite = [name for name in found if name not in finite]
    lacking = lacking or (f"not a finite number: {', '.join(infinite)}" if infinite else "")
    return finite, lacking


def _table(path: Path) -> dict[str, float]:
    """Return what is followed of a table of measurements; `KeyError` or `ValueError` where it is none."""
    with path.open(encoding="utf-8", newline="") as stream:
        columns, rows = columns_and_rows(stream)
    if "class" not in columns:
        raise ValueError("no column of classes")
    return {
        f"{name_from_cell(row['class'])}.{key}": float(row[key]) for row in rows for key in MEASURES if row.get(key)
    }
