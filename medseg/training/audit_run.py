"""Audits what a run is about to train on, and remembers the outcome beside the run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.data.audit import Audit, audit
from medseg.data.audit_json import dataset_digest
from medseg.data.dataset import Dataset
from medseg.data.mirror_pairs import MirrorPair
from medseg.data.splits import Split, sides
from medseg.draw.audit_page import write_audit

log = logging.getLogger("medseg.train")


def audit_for_run(data: Dataset, split: Split, out: Path) -> Audit:
    """Audit a dataset and leave ``audit.json`` and ``audit.html`` in a run's folder."""
    log.info("Auditing %s.", counted(len(data.labeled), "case"))
    found = audit(data, side=sides(split), folder=out)
    write_audit(found, out, split=split.name)
    if found.findings:
        advisory = sum(not finding.blocks for finding in found.findings)
        log.warning("%s: see %s.", _summary(len(found.blocked), advisory), out / "audit.html")
    return found


def _summary(blocked: int, advisory: int) -> str:
    cases = f"{counted(blocked, 'case')} {'is' if blocked == 1 else 'are'} skipped"
    findings = f"{counted(advisory, 'finding')} should be checked"
    return ", and ".join(text for text, count in ((cases, blocked), (findings, advisory)) if count)


@dataclass(frozen=True)
class Audited:
    """What a run needs to know of the audit of its dataset.

    - `blocked`: cases that must not be trained on or measured with, and why.
    - `mirrored`: classes that are each other's mirror image in the labels.
    - `kept`: cases kept in training, each with the class that no other training case has.
    """

    blocked: dict[str, str]
    mirrored: tuple[MirrorPair, ...]
    kept: dict[str, str]


def audited(data: Dataset, split: Split, out: Path) -> Audited:
    """Audit a run's dataset.

    An audit that lies in the run's folder is taken as it is, unless a file of the dataset, what the configuration says
    of it, or the split has changed.
    """
    kept = out / "audit.json"
    if kept.is_file():
        known = parse_json(kept.read_text(encoding="utf-8"))
        if known.get("files") == dataset_digest(data) and known.get("split") == split.name:
            blocked = {str(case_id): str(why) for case_id, why in known["blocked"].items()}
            return Audited(blocked, tuple(MirrorPair(**pair) for pair in known["mirrored"]), known["kept"])
    found = audit_for_run(data, split, out)
    return Audited(found.blocked, found.mirrored, dict(found.kept))
