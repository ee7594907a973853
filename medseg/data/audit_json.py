"""An audit as JSON, and the digest that tells whether it is still of the same files."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

from medseg.data.audit import Audit
from medseg.data.dataset import Dataset
from medseg.data.findings import KINDS

# Of what an audit finds and how it is kept: one made by an earlier medseg is made again.
FORMAT = 2
# Parts of a dataset that no finding depends on, and the cases, whose files are looked at.
NOT_READ = {"folder", "license", "description", "cases"}


def dataset_digest(data: Dataset) -> str:
    """Digest of what an audit depends on: names, sizes and times of the files, and what a description states.

    A configuration that was corrected (another class, a value to ignore, a group) gives another one.
    """
    stated_parts = [(field.name, getattr(data, field.name)) for field in fields(data) if field.name not in NOT_READ]
    digest = hashlib.sha256(repr((FORMAT, stated_parts)).encode())
    for case in data.cases:
        place = (case.case_id, case.group, case.split, case.folds, case.annotated)
        digest.update(repr(place).encode())
        for path in case.files:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                state = file.stat() if file.is_file() else None
                known = (file.name, state and state.st_size, state and state.st_mtime_ns)
                digest.update(repr(known).encode())
    return digest.hexdigest()


def as_json(audit: Audit) -> dict[str, Any]:
    """Everything found, as JSON can hold it."""
    return {
        "dataset": audit.data.name,
        "layout": audit.data.layout,
        "cases": len(audit.data.cases),
        "summary": audit.summary.as_json(),
        "clean": list(audit.clean),
        "blocked": audit.blocked,
        "mirrored": [pair.as_json() for pair in audit.mirrored],
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
