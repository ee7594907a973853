"""An audit as JSON, and the digest that tells whether it is still of the same files."""

from __future__ import annotations

import hashlib
from typing import Any

from medseg.data.audit import Audit
from medseg.data.dataset import Dataset
from medseg.data.findings import KINDS


def files_digest(data: Dataset) -> str:
    """Digest of the names, sizes and times of a dataset's files: another one means that something changed."""
    digest = hashlib.sha256()
    for case in data.cases:
        for path in case.files:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                state = file.stat() if file.is_file() else None
                known = (case.case_id, file.name, state and state.st_size, state and state.st_mtime_ns)
                digest.update(repr(known).encode())
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
