"""Writes an audit for programs (`audit.json`) and for people (`audit.html`)."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.data.audit import Audit
from medseg.data.audit_json import as_json, dataset_digest
from medseg.draw.page import render
from medseg.draw.thumbnail import case_thumbnail
from medseg.io.files.atomic import write_text

MOST_THUMBNAILS = 200  # embedded at most, so that the page stays loadable


def write_audit(audit: Audit, out: Path, *, split: str | None = None) -> None:
    """Write ``audit.json`` and ``audit.html``, with a thumbnail for each finding that has a readable image.

    `split` is the name of the split whose sides were looked at.
    """
    content = as_json(audit)
    kept = {**content, "split": split, "kept": dict(audit.kept), "files": dataset_digest(audit.data)}
    write_text(out / "audit.json", json.dumps(kept, indent=1) + "\n")
    cases = {case.case_id: case for case in audit.data.cases}
    thumbnails: dict[str, str | None] = {}
    for finding in audit.findings:
        if finding.case_id in cases and finding.case_id not in thumbnails and len(thumbnails) < MOST_THUMBNAILS:
            thumbnails[finding.case_id] = case_thumbnail(audit.data, cases[finding.case_id])
    page = render(
        "audit.html",
        **{key: content[key] for key in ("dataset", "layout", "cases", "clean")},
        summary=audit.summary.lines(),
        blocking=[row for row in content["findings"] if row["blocks"]],
        advisory=[row for row in content["findings"] if not row["blocks"]],
        thumbnails=thumbnails,
    )
    write_text(out / "audit.html", page)
