"""Writes an audit for programs (`audit.json`) and for people (`audit.html`)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from medseg.data.audit import Audit
from medseg.data.dataset import Dataset
from medseg.data.findings import KINDS
from medseg.data.thumbnail import thumbnail
from medseg.io.files.atomic import write_text

__all__ = ["as_json", "files_digest", "write_audit"]

# Thumbnails embedded at most, so that the page stays loadable.
MOST_PICTURES = 200


def files_digest(data: Dataset) -> str:
    """Digest of the names, sizes and times of a dataset's files: another one means that something changed."""
    digest = hashlib.sha256()
    for case in data.cases:
        for path in case.files:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                state = file.stat() if file.is_file() else None
                seen = (case.case_id, file.name, state and state.st_size, state and state.st_mtime_ns)
                digest.update(repr(seen).encode())
    return digest.hexdigest()


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


def write_audit(audit: Audit, out: Path, *, split: str | None = None) -> None:
    """Write ``audit.json`` and ``audit.html`` with a thumbnail for each finding that has a readable image.

    Parameters
    ----------
    audit : Audit
        What was found.
    out : Path
        Folder, made if missing.
    split : str, optional
        Name of the split whose sides were looked at.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    content = as_json(audit)
    kept = {**content, "split": split, "files": files_digest(audit.data)}
    write_text(out / "audit.json", json.dumps(kept, indent=1) + "\n")
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
