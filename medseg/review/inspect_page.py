"""Shows an inspection as a page: every volume with its thumbnail and verdict, by study and series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medseg.draw.page import png_url, render
from medseg.io.files.case_id import file_name
from medseg.review.inspect_tree import facts, skipped_by_reason
from medseg.review.inspection import Inspection, VolumeReport


def inspection_page(inspection: Inspection, title: str) -> str:
    """Return one HTML file with no outside reference."""
    studies: dict[str, list[dict[str, Any]]] = {}
    for volume in sorted(inspection.volumes, key=lambda v: (v.study, v.found.series_number or 0)):
        study = f"Study {volume.study}" if volume.study else "Files"
        studies.setdefault(study, []).append(_card(volume))
    return render(
        "inspect.html",
        title=title,
        valid=sum(volume.is_valid for volume in inspection.volumes),
        total=len(inspection.volumes),
        studies=studies,
        rest=[
            (corrupt, reason, count, file_name(Path(example)), fix)
            for corrupt, reason, count, example, fix in skipped_by_reason(inspection)
        ],
    )


def _card(volume: VolumeReport) -> dict[str, Any]:
    return {
        "case_id": volume.found.case_id,
        "is_valid": volume.is_valid,
        "series": volume.series,
        "facts": facts(volume, with_series=False),
        "reason": volume.reason,
        "fix": volume.fix,
        "notes": volume.notes,
        "fit": volume.fit,
        "thumbnail": None if volume.thumbnail is None else png_url(volume.thumbnail),
    }
