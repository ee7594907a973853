"""The curve of a run as a table: one row an epoch."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from medseg.io.files.atomic import write_text
from medseg.training.loop import EpochRecord

__all__ = ["History"]


class History:
    """Rows of ``history.csv``.

    Parameters
    ----------
    path : Path
        Where the table lies; one from an earlier part of the run is gone on with.
    step : int
        Step the run goes on from. Rows beyond it, of steps that will be done again, are dropped.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as stream:
                self.rows = [row for row in csv.DictReader(stream) if int(row["step"]) <= step]

    def add(self, record: EpochRecord) -> None:
        """Add an epoch and write the table."""
        numbers = {name: f"{value:.6g}" for name, value in record.metrics.items()}
        self.rows.append({"epoch": str(record.epoch), "step": str(record.step), **numbers})
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
