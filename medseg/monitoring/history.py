"""The table of history: a row a case, in the order in which the cases were segmented."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medseg.harmless import TableWriter, from_cell
from medseg.io.files.atomic import write_text
from medseg.io.files.csv_table import table_rows

FILE = "history.csv"
# What is known of the scan itself; kept from one look to the next, because scans are slow to read.
SCAN_TEXTS = ("modality", "manufacturer", "scanner")
SCAN_FIGURES = (
    "field_strength_t", "spacing_in_plane_mm", "spacing_between_slices_mm", "intensity_p5", "intensity_p50",
    "intensity_p95",
)  # fmt: skip
HEAD = ("number", "results", "case_id", "key", "state", "model", *SCAN_TEXTS, "verdict")


@dataclass(frozen=True)
class CaseRecord:
    """One case, without anything that names a patient or a day.

    - `key`: of the case's record: a hash of input, model and options.
    - `figures`: by name, with the class in front where they are of one (``liver.volume_ml``); none that is not known.
    """

    results: str
    case_id: str
    key: str
    state: str
    model: str
    texts: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""


def write_history(records: Sequence[CaseRecord], folder: Path) -> None:
    """Write history.csv; figures that no case has are no columns."""
    names = list(dict.fromkeys(name for one in records for name in one.figures))
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow([*HEAD, *names])
    for number, one in enumerate(records, start=1):
        texts = [one.texts.get(name, "") for name in SCAN_TEXTS]
        figures = [f"{one.figures[name]:.6g}" if name in one.figures else "" for name in names]
        head = [number, one.results, one.case_id, one.key, one.state, one.model]
        writer.writerow([*head, *texts, one.verdict, *figures])
    write_text(folder / FILE, stream.getvalue())


def known_scans(folder: Path) -> dict[tuple[str, str, str], tuple[dict[str, str], dict[str, float]]]:
    """What an earlier look wrote of scans, by results, case and key; empty where there is none that can be read."""
    try:
        with (folder / FILE).open(encoding="utf-8", newline="") as stream:
            rows = table_rows(stream)
        return {
            (row["results"], row["case_id"], row["key"]): (
                {name: from_cell(row[name]) for name in SCAN_TEXTS if row.get(name)},
                {name: float(row[name]) for name in SCAN_FIGURES if row.get(name)},
            )
            for row in rows
            if row.get("modality")
        }
    except (OSError, KeyError, ValueError):
        return {}
