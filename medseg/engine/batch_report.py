"""What a run leaves for people: `cases.csv` for spreadsheets and `report.html` for a browser."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from medseg.draw.page import png_url, render
from medseg.types.run import BatchResult, CaseOutcome

__all__ = ["render_report", "table_of_cases"]

WORDS = {"done": "done", "current": "up to date", "failed": "failed", "pending": "not done"}


def table_of_cases(result: BatchResult) -> str:
    """Return the text of `cases.csv`: a row a case with state, source, volumes in ml, objects, notes, error and fix."""
    classes, counted = _class_names(result), _counted(result)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            *("case_id", "state", "source"),
            *(f"{name}_ml" for name in classes),
            *(f"{name}_objects" for name in counted),
            *("review_priority", "notes", "error", "fix"),
        ]
    )
    for outcome in result.outcomes:
        volumes, objects = _volumes(outcome), _objects(outcome)
        figures = [f"{volumes[name]:.6g}" if name in volumes else "" for name in classes]
        figures += [str(objects.get(name, "")) for name in counted]
        # Whether a case was done now or before is no property of its result: both are "done" in the table.
        state = "done" if outcome.state == "current" else outcome.state
        row = [outcome.case_id, state, outcome.source, *figures]
        row.append(f"{outcome.review_priority:g}" if volumes else "")
        writer.writerow([*row, "; ".join(outcome.notes), outcome.error or "", outcome.fix or ""])
    return stream.getvalue()


def render_report(result: BatchResult, *, pictures: int = 200) -> str:
    """Return the text of `report.html`: one file with no outside reference, failures first, then the most uncertain.

    Parameters
    ----------
    result : BatchResult
        How the run ended.
    pictures : int
        How many previews are embedded at most; the others are linked, so that the page stays loadable.
    """
    good = sorted((o for o in result.outcomes if o.state in ("done", "current")), key=lambda o: -o.review_priority)
    return render(
        "batch_report.html",
        good=[_card(outcome, result.out, embed=number < pictures) for number, outcome in enumerate(good)],
        failed=[o for o in result.outcomes if o.state == "failed"],
        pending=[o for o in result.outcomes if o.state == "pending"],
        noted=sum(bool(o.notes) for o in good),
        skipped=[(item.path.name, item.reason) for item in result.skipped],
        classes=_class_names(result),
        counted=_counted(result),
        identity=result.identity,
    )


def _card(outcome: CaseOutcome, out: Path, *, embed: bool) -> dict[str, Any]:
    preview = out / outcome.case_id / "preview.png"
    address = f"{outcome.case_id}/preview.png"
    if embed and preview.is_file():
        address = png_url(preview.read_bytes())
    return {
        "outcome": outcome,
        "preview": address if preview.is_file() else None,
        "volumes": _volumes(outcome),
        "objects": _objects(outcome),
    }


def _volumes(outcome: CaseOutcome) -> dict[str, float]:
    return {} if outcome.volumes is None else {row.class_name: row.volume_ml for row in outcome.volumes.rows}


def _objects(outcome: CaseOutcome) -> dict[str, int]:
    rows = () if outcome.volumes is None else outcome.volumes.rows
    return {row.class_name: row.objects for row in rows if row.objects is not None}


def _counted(result: BatchResult) -> list[str]:
    """Classes of which objects were made in any case."""
    return list(dict.fromkeys(name for outcome in result.outcomes for name in _objects(outcome)))


def _class_names(result: BatchResult) -> list[str]:
    names: dict[str, None] = {}
    for outcome in result.outcomes:
        names.update(dict.fromkeys(_volumes(outcome)))
    return list(names)
