"""Writes an audit for programs (`audit.json`) and for people (`audit.html`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medseg.data.audit import Audit
from medseg.data.findings import KINDS
from medseg.data.thumbnail import thumbnail
from medseg.io.atomic import write_text

__all__ = ["as_json", "write_audit"]

# Thumbnails embedded at most, so that the page stays loadable.
MOST_PICTURES = 200


def as_json(audit: Audit) -> dict[str, Any]:
    """Everything found, as JSON can hold it."""
    return {
        "dataset": audit.data.name,
        "layout": audit.data.layout,
        "cases": len(audit.data.cases),
        "clean": list(audit.clean),
        "blocked": audit.blocked,
        "findings": [
            {
                "kind": f.kind,
                "title": KINDS[f.kind].title,
                "blocks": f.blocks,
                "case_id": f.case_id,
                "others": list(f.others),
                "message": f.message,
                "fix": KINDS[f.kind].fix,
            }
            for f in audit.findings
        ],
    }


def write_audit(audit: Audit, out: Path) -> None:
    """Write ``audit.json`` and ``audit.html`` with a thumbnail for each finding that has a readable image.

    Parameters
    ----------
    audit : Audit
        What was found.
    out : Path
        Folder, made if missing.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    content = as_json(audit)
    write_text(out / "audit.json", json.dumps(content, indent=1) + "\n")
    cases = {case.case_id: case for case in audit.data.cases}
    pictures: dict[str, str | None] = {}
    for finding in audit.findings:
        if finding.case_id in cases and finding.case_id not in pictures and len(pictures) < MOST_PICTURES:
            pictures[finding.case_id] = thumbnail(audit.data, cases[finding.case_id])
    environment = Environment(
        loader=PackageLoader("medseg.data"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("audit.html").render(
        **{key: content[key] for key in ("dataset", "layout", "cases", "clean")},
        blocking=[row for row in content["findings"] if row["blocks"]],
        advisory=[row for row in content["findings"] if not row["blocks"]],
        pictures=pictures,
    )
    write_text(out / "audit.html", page + "\n")
