"""What ``sources.csv`` says of where each case came from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from medseg.harmless import from_cell
from medseg.io.files.csv_table import table_rows

FILE = "sources.csv"


class CaseSource(NamedTuple):
    """Where a case came from; UIDs are empty where it was not DICOM."""

    series_uid: str = ""
    study_uid: str = ""
    path: str = ""  # below the input it was found in


def read_sources(results: Path) -> dict[str, CaseSource]:
    """Read the file in a folder of results, by case id; empty where there is none that can be read."""
    try:
        with (results / FILE).open(encoding="utf-8", newline="") as stream:
            return {
                row["case_id"]: CaseSource(row["series_uid"], row["study_uid"], from_cell(row["path"]))
                for row in table_rows(stream)
            }
    except (OSError, KeyError, ValueError):
        return {}
