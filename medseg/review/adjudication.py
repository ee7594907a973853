"""What a third person must settle between two readers: which cases, and whose labels are A and whose B."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medseg.errors import UsageError
from medseg.evaluation.consensus import consensus
from medseg.evaluation.readers import MODEL, Agreement, Reading, compare_readers
from medseg.harmless import TableWriter
from medseg.review.readings import chosen_readers, labels_of, readings_of
from medseg.review.store import Store
from medseg.types import LabelMap

READINGS = ("A", "B")
Verdicts = Literal["agree", "differ", "not from both"]
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
    verdicts: Verdicts

    @property
    def verdicts_differ(self) -> bool:
        """Whether both gave a verdict, and not the same."""
        return self.verdicts == "differ"


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
    differ, same = set(verdicts["differ"]), set(verdicts["same"])
    listed = []
    for case_id in sorted(worst.keys() | differ):
        dice, class_name = worst.get(case_id, (0.0, ""))
        if dice < below or case_id in differ:
            a, b = (first, second) if _is_first(case_id, first, second) else (second, first)
            verdict: Verdicts = "differ" if case_id in differ else "agree" if case_id in same else "not from both"
            listed.append(Dispute(case_id, a, b, class_name or None, dice, verdict))
    return tuple(sorted(listed, key=lambda one: (one.dice, not one.verdicts_differ, one.case_id)))


def worklist_csv(listed: Sequence[Dispute]) -> str:
    """Return the worklist as a table that names no reader."""
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(COLUMNS)
    for place, one in enumerate(listed, start=1):
        writer.writerow([place, one.case_id, one.class_name or "", f"{one.dice:.4f}", one.verdicts])
    return stream.getvalue()


def _is_first(case_id: str, first: str, second: str) -> bool:
    """Whether the first reader is A: as good as by chance, and the same every time."""
    return hashlib.sha256(f"{case_id}\n{first}\n{second}".encode()).digest()[0] % 2 == 0


@dataclass(frozen=True, eq=False)
class Adjudication:
    """The cases that two readers see differently, as they are given to a third person: the readers are A and B.

    Labels are those that the readers had left when it was opened.
    """

    store: Store
    disputes: Mapping[str, Dispute]  # by case, those that differ most first
    readings: Mapping[tuple[str, str], Reading]  # by reader and case

    def is_of(self, who: str) -> bool:
        """Whether somebody is one of the two readers, who settle nothing between themselves."""
        return any(who == reader for reader, _ in self.readings)

    def verdicts(self, case_id: str) -> tuple[tuple[str, str | None], ...]:
        """Return the names of the readings of a case, A and B, each with its verdict."""
        one = self.disputes[case_id]
        pairs = ((name, self.readings.get((reader, case_id))) for name, reader in (("A", one.a), ("B", one.b)))
        return tuple((name, reading.verdict) for name, reading in pairs if reading is not None)

    def labels(self, case_id: str, name: str) -> LabelMap:
        """Return the labels of reading A or B; empty where the reader left none.

        Raises
        ------
        UsageError
            When there is no such case or reading.
        """
        one = self.disputes.get(case_id)
        reader = None if one is None else {"A": one.a, "B": one.b}.get(name)
        if one is None or reader is None:
            raise UsageError("there is no such reading", where=case_id, fix="The two are A and B.")
        reading = self.readings.get((reader, case_id))
        if reading is not None and reading.labels is not None:
            return reading.labels()
        model = labels_of(self.store, case_id, 0)
        return LabelMap(np.zeros_like(model.array), model.geometry, model.table)

    def agreed(self, case_id: str) -> LabelMap:
        """Return what A and B have in common, to start from; where one left no labels, the other's."""
        left = [self.readings.get((reader, case_id)) for reader in (self.disputes[case_id].a, self.disputes[case_id].b)]
        maps = [reading.labels() for reading in left if reading is not None and reading.labels is not None]
        return consensus(maps, "majority").labels if len(maps) == 2 else maps[0] if maps else self.labels(case_id, "A")


def open_adjudication(store: Store, readers: Sequence[str], *, reviewer: str) -> Adjudication:
    """Find what two readers of a review see differently.

    Raises
    ------
    UsageError
        When they are not two who read, the reviewer is one of them, or they agree on every case.
    """
    where = f"--adjudicate {' --adjudicate '.join(readers)}"
    if len(set(readers)) != 2:
        raise UsageError("cases are settled between two readers", where=where, fix="Name each of the two once.")
    if reviewer in readers:
        raise UsageError(f"{reviewer} is one of the two", where=where, fix="Let a third person settle the cases.")
    chosen_readers(store, readers, option="--adjudicate")
    readings = readings_of(store, readers, with_model=False)
    found = compare_readers(readings, n_bootstrap=100, surfaces=False)
    listed = disputes(found, readers)
    if not listed:
        raise UsageError("they see every case they share alike", where=where, fix="There is nothing to settle.")
    return Adjudication(
        store,
        {one.case_id: one for one in listed},
        {(reading.reader, reading.case_id): reading for reading in readings},
    )
