"""Gathers the history from folders of results: their records, tables, runs and reviews."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.engine.journal import STATUS_FILE, Status, read_status
from medseg.errors import InputError, MedsegError, UsageError
from medseg.harmless import name_from_cell
from medseg.io.files.case_id import TAKEN
from medseg.io.files.csv_table import table_rows
from medseg.monitoring.history import CaseRecord
from medseg.monitoring.scan_facts import Facts, scan_facts
from medseg.review.made_by import made_by
from medseg.review.review_case import ReviewCase
from medseg.review.scan_finder import ScanFinder
from medseg.review.store import open_store

# Columns of measurements.csv that are followed, a class.
MEASURES = ("n_components", "boundary_entropy")


@dataclass(frozen=True)
class Wanted:
    """What to read beside the records.

    - `scans`: where the scans are, if they were moved; `known`: what is known of scans already.
    - `with_scans`: whether scans are read at all.
    """

    scans: tuple[Path, ...] = ()
    known: Mapping[tuple[str, str, str], Facts] | None = None
    with_scans: bool = True


def gather(folders: Sequence[Path], wanted: Wanted) -> list[CaseRecord]:
    """Return a record of each case that has one, folder by folder as given, in each by when it was segmented.

    Raises
    ------
    UsageError
        When a folder is not there, or holds no case.
    """
    records: list[CaseRecord] = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError("there is no such folder", where=folder, fix="Give the --out of `medseg predict`.")
        found = list(_of_folder(folder, wanted))
        if not found:
            raise UsageError(
                "this folder holds no results of `medseg predict`", where=folder, fix="Give the --out of one."
            )
        records += found
    return records


def _of_folder(folder: Path, wanted: Wanted) -> Iterator[CaseRecord]:
    model, seconds, cases = _model(folder), _seconds(folder), _reviewed(folder)
    finder = ScanFinder(folder, wanted.scans) if wanted.with_scans else None
    for place in sorted(_case_folders(folder), key=lambda place: (place.joinpath(STATUS_FILE).stat().st_mtime, place)):
        status = read_status(place)
        if status is None:
            continue
        key = status.key[:16]
        texts, figures = (wanted.known or {}).get((folder.resolve().name, place.name, key), ({}, {}))
        if not texts and finder is not None and status.content.get("input_sha256"):
            texts, figures = scan_facts(finder, place.name, status.content["input_sha256"])
        figures = {**figures, **_figures(place, status), **seconds.get(place.name, {})}
        case = cases.get(place.name)
        own = str(status.content.get("model") or model)  # a folder of a node holds cases of several models
        yield CaseRecord(folder.resolve().name, place.name, key, status.state, own, texts, figures, _verdict(case))


def _case_folders(folder: Path) -> list[Path]:
    return [
        place
        for place in folder.iterdir()
        if place.name.lower() not in TAKEN and not place.name.startswith(".") and (place / STATUS_FILE).is_file()
    ]


def _model(folder: Path) -> str:
    try:
        return str(made_by(folder).identity)
    except InputError:
        return ""


def _seconds(folder: Path) -> dict[str, dict[str, float]]:
    """How long each case of the last run took; a case that was up to date took none."""
    try:
        cases = parse_json((folder / "run.json").read_text(encoding="utf-8"))["cases"]
        return {one["case_id"]: {"seconds": float(one["seconds"])} for one in cases if one["seconds"] > 0}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


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
    return "corrected" if case.state == "accepted" and case.is_corrected else case.state


def _figures(folder: Path, status: Status) -> dict[str, float]:
    """Volumes and numbers of objects, what can be said of each class without a reference, and warnings."""
    found: dict[str, float] = {"warnings": float(len(status.content.get("warnings") or ()))}
    if status.state != "done":
        return found
    volumes: Mapping[str, Mapping[str, Any]] = status.content.get("volumes") or {}
    for name, figures in volumes.items():
        for key in ("volume_ml", "area_mm2", "objects"):
            if isinstance(figures.get(key), int | float):
                found[f"{name}.{key}"] = float(figures[key])
    try:
        with (folder / "measurements.csv").open(encoding="utf-8", newline="") as stream:
            for row in table_rows(stream):
                for key in MEASURES:
                    if row.get(key):
                        found[f"{name_from_cell(row['class'])}.{key}"] = float(row[key])
    except (OSError, KeyError, ValueError):
        pass  # older results have no such table, and the volumes are known without it
    return {name: value for name, value in found.items() if math.isfinite(value)}
