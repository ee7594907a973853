"""What a run leaves for people: `cases.csv` for spreadsheets and `report.html` for a browser."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from medseg.draw.page import render, small_url
from medseg.engine.measured_rows import COLUMNS, measured_rows
from medseg.errors import page_of
from medseg.harmless import TableWriter
from medseg.io.files.atomic import write_text
from medseg.models.card_summary import summaries_in
from medseg.types.run import BatchResult, CaseOutcome
from medseg.types.volume_interval import VolumeInterval

# Cases beyond which a report has several pages, and cases of each: 250 are half a megabyte without their previews.
PAGED_ABOVE, A_PAGE = 2000, 250
FURTHER_PAGE = re.compile(r"report\.\d+\.html")


def table_of_cases(result: BatchResult) -> str:
    """Return the text of `cases.csv`: a row a case; warnings and notes are separated by semicolons."""
    classes, counted = _class_names(result), _counted(result)
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(
        [
            *("case_id", "state", "source"),
            *classes,
            *(f"{name}.objects" for name in counted),
            *("review_priority", "warnings", "notes", "error", "fix"),
        ]
    )
    for outcome in result.outcomes:
        volumes, objects = _volumes(outcome), _objects(outcome)
        figures = [f"{volumes[name]:.6g}" if name in volumes else "" for name in classes]
        figures += [str(objects.get(name, "")) for name in counted]
        row = [outcome.case_id, outcome.written_state, outcome.source, *figures]
        row.append(f"{outcome.review_priority:g}" if volumes else "")
        texts = ("; ".join(outcome.warnings), "; ".join(outcome.notes), outcome.error or "", outcome.fix or "")
        writer.writerow([*row, *texts])
    return stream.getvalue()


def write_report(result: BatchResult, *, previews: int = 200) -> None:
    """Write `report.html`, and of many cases its further pages; delete those that an earlier report had more."""
    pages = report_pages(result, previews=previews)
    for name, text in pages.items():
        write_text(result.out / name, text)
    for path in result.out.glob("report.*.html"):
        if FURTHER_PAGE.fullmatch(path.name) and path.name not in pages:
            path.unlink(missing_ok=True)


def render_report(result: BatchResult, *, previews: int = 200) -> str:
    """Return the text of the first page, as `report_pages` does."""
    return report_pages(result, previews=previews)["report.html"]


def report_pages(result: BatchResult, *, previews: int = 200) -> dict[str, str]:
    """Return the pages of a report by the names of their files, the first being ``report.html``.

    Each page is one file with no outside reference. Failures come first, then cases by review priority. At most so many
    `previews` are embedded, made small, and the others are loaded when they come into view, so that the page stays
    under 2 MB for each hundred cases. Each leads to the whole image.

    Of more than `PAGED_ABOVE` cases, a page has `A_PAGE` of those done and of those that failed, and embeds nothing, so
    that a browser opens it at once however many there are; files that are no scans and have no space on the first page
    are in ``run.json``.
    """
    done = sorted((o for o in result.outcomes if o.written_state == "done"), key=lambda o: -o.review_priority)
    failed = [o for o in result.outcomes if o.state in ("failed", "withheld")]
    paged = len(result.outcomes) > PAGED_ABOVE
    size = A_PAGE if paged else max(len(done), len(failed), 1)
    count = max(len(done), len(failed), 1)
    parts = [(done[start : start + size], failed[start : start + size]) for start in range(0, count, size)]
    names = ["report.html", *(f"report.{number}.html" for number in range(2, len(parts) + 1))]
    most = A_PAGE if paged else len(result.skipped)
    shared: dict[str, Any] = {
        "pages": names,
        "n_done": len(done),
        "n_failed": result.count("failed"),
        "n_withheld": result.count("withheld"),
        "n_pending": result.count("pending"),
        "n_warned": sum(bool(o.warnings) for o in done),
        "n_skipped": len(result.skipped),
        "shards": result.shards if result.unfinished else 0,
        "unfinished": result.unfinished,
        "classes": _class_names(result),
        "counted": _counted(result),
        "columns": COLUMNS,
        "identity": result.identity,
        "models": summaries_in(result.out),
    }
    embedded = 0 if paged else previews
    return {
        name: render(
            "batch_report.html",
            page=number,
            done=[_card(outcome, result.out, embed=place < embedded) for place, outcome in enumerate(good)],
            failed=bad,
            page_of=page_of,
            skipped=[(item.source or item.path.name, item.reason) for item in result.skipped[:most]]
            if number == 0
            else [],
            more_skipped=max(len(result.skipped) - most, 0),
            **shared,
        )
        for number, (name, (good, bad)) in enumerate(zip(names, parts, strict=True))
    }


def _card(outcome: CaseOutcome, out: Path, *, embed: bool) -> dict[str, Any]:
    address = f"{outcome.case_id}/preview.png"
    preview = out / address
    embedded = _embedded(preview, preview.stat().st_mtime_ns) if embed and preview.is_file() else None
    return {
        "outcome": outcome,
        "preview": address if preview.is_file() else None,
        "embedded": embedded,
        "volumes": _volumes(outcome),
        "objects": _objects(outcome),
        "measured": measured_rows(outcome),
        "intervals": _intervals(outcome),
    }


@lru_cache(maxsize=1000)
def _embedded(preview: Path, _changed: int) -> str | None:
    """The preview made small, once for all the times that the report is written during a run."""
    try:
        with Image.open(preview) as image:
            return small_url(image)
    except (OSError, ValueError):  # it is linked, so that a browser says what is wrong
        return None


def _volumes(outcome: CaseOutcome) -> dict[str, float]:
    """Volume, or area of a 2D image, by column of `cases.csv`."""
    return {} if outcome.volumes is None else {f"{row.class_name}.{row.unit}": row.size for row in outcome.volumes.rows}


def _intervals(outcome: CaseOutcome) -> dict[str, VolumeInterval]:
    """Interval of each volume, by column of `cases.csv`."""
    rows = () if outcome.volumes is None else outcome.volumes.rows
    return {f"{row.class_name}.{row.unit}": row.interval for row in rows if row.interval is not None}


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
