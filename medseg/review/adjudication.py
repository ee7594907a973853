"""What a third person must settle between two readers: which cases, and whose labels are A and whose B."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from medseg.evaluation.readers import MODEL, Agreement
from medseg.harmless import TableWriter

COLUMNS = ("place", "case_id", "class", "dice", "verdicts")


@dataclass(frozen=True)
class Dispute:
    """A case that two readers see differently, without saying which of them is which.

    `a` and `b` are the readers, in an order that depends on the case alone; who adjudicates sees A and B only.
    """

    case_id: str
    a: str
    b: str
    class_name: str | None  # the class they differ most on; None where they drew the same
    dice: float  # of that class; 1 where they drew the same, 0 where one left no labels
    verdicts_differ: bool


def disputes(found: Agreement, pair: Sequence[str], *, below: float = 1.0) -> tuple[Dispute, ...]:
    """List the cases two readers see differently, those that differ most first.

    Parameters
    ----------
    found : Agreement
        Of these readers, and maybe others.
    pair : sequence of str
        The two readers.
    below : float
        Only cases with a Dice below this in some class, or with different verdicts.
    """
    first, second = sorted(pair, key=lambda name: (name == MODEL, name))
    worst: dict[str, tuple[float, str]] = {}
    for row in found.rows:
        # Dice is not defined where neither drew the class, on which they agree.
        if (row.first, row.second, row.metric) == (first, second, "dice") and not math.isnan(row.value):
            worst[row.case_id] = min(worst.get(row.case_id, (1.0, "")), (row.value, row.class_name))
    verdicts = next(p["verdicts"] for p in found.summary["pairs"] if (p["first"], p["second"]) == (first, second))
    differ = set(verdicts["differ"])
    listed = []
    for case_id in sorted(worst.keys() | differ):
        dice, class_name = worst.get(case_id, (0.0, ""))
        if dice < below or case_id in differ:
            a, b = (first, second) if _is_first(case_id, first, second) else (second, first)
            listed.append(Dispute(case_id, a, b, class_name or None, dice, case_id in differ))
    return tuple(sorted(listed, key=lambda one: (one.dice, not one.verdicts_differ, one.case_id)))


def worklist_csv(listed: Sequence[Dispute]) -> str:
    """Return the worklist as a table that names no reader."""
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(COLUMNS)
    for place, one in enumerate(listed, start=1):
        verdicts = "differ" if one.verdicts_differ else "agree"
        writer.writerow([place, one.case_id, one.class_name or "", f"{one.dice:.4f}", verdicts])
    return stream.getvalue()


def _is_first(case_id: str, first: str, second: str) -> bool:
    """Whether the first reader is A: as good as by chance, and the same every time."""
    return hashlib.sha256(f"{case_id}\n{first}\n{second}".encode()).digest()[0] % 2 == 0
