"""Decides which prediction is measured against which reference, and says what is left over."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from medseg.errors import InputError
from medseg.evaluation.files.case_table import CaseRow, CaseTable
from medseg.evaluation.files.label_files import LabelFile, failed_cases, find_labels, plain_name
from medseg.evaluation.files.reference_dataset import ReferenceDataset


@dataclass(frozen=True)
class CasePair:
    """The files of one case."""

    case_id: str
    prediction: LabelFile
    reference: LabelFile
    row: CaseRow  # just the id where there is no table


@dataclass(frozen=True)
class Pairing:
    """Every case that can be measured, in order of case id, and everything that cannot."""

    pairs: tuple[CasePair, ...]
    without_reference: tuple[str, ...] = ()  # predictions that match no reference
    without_prediction: tuple[str, ...] = ()  # references that no prediction matches
    not_in_table: tuple[str, ...] = ()  # cases of which the table that is given says nothing
    failed: dict[str, str] = field(default_factory=dict)  # cases that have a reference and no readable prediction


def pair_cases(
    predictions: Path,
    references: Path,
    table: CaseTable | None = None,
    *,
    keep_names: bool = False,
    dataset: ReferenceDataset | None = None,
) -> Pairing:
    """Match predictions to references by the table, or else by name.

    Names match when they are equal, or equal but for letter case and endings such as ``_seg``, ``_pred`` or ``_0000``.
    Two single files match whatever they are called. A name that matches several files is an error. `dataset` is the one
    that the references belong to, where it is known.
    """
    if table is not None and any(row.prediction or row.reference for row in table.rows.values()):
        paired = _by_table(predictions, references, table)
        return paired if dataset is None else _annotated(paired, dataset)
    found = find_labels(predictions, keep_names=keep_names)
    if dataset is not None and dataset.lists_files:
        known = dataset.files(keep_names=keep_names)
    else:
        known = find_labels(references, keep_names=keep_names)
    _distinct(found, predictions)
    _distinct(known, references)
    both_files = predictions.is_file() and references.is_file() and not (dataset is not None and dataset.lists_files)
    matches = {0: 0} if both_files else _by_name(found, known, references)
    failed = {
        name: why
        for name, why in failed_cases(predictions).items()
        if any(plain_name(name) in _plain(item) for item in known)
    }
    pairs = [
        CasePair(found[i].case_id, found[i], known[j], _row(found[i], known[j], table)) for i, j in matches.items()
    ]
    without_reference = [item.case_id for i, item in enumerate(found) if i not in matches]
    used = set(matches.values())
    without_prediction = [
        item.case_id
        for j, item in enumerate(known)
        if j not in used and not any(plain_name(name) in _plain(item) for name in failed)
    ]
    if not pairs:
        raise InputError(
            f"no prediction matches a reference: {_some(without_reference)} against {_some(without_prediction)}",
            where=predictions,
            fix="Name them alike, or give --table with columns case_id, prediction, reference.",
        )
    missing = () if table is None else tuple(pair.case_id for pair in pairs if pair.row.case_id not in table.rows)
    if len(missing) == len(pairs):
        raise InputError(
            f"the table names none of the cases that are measured: {_some(missing)}",
            where=f"--table, case_id {_some(tuple(table.rows) if table else ())}",
            fix="Give each case the name of its file without ending.",
        )
    paired = Pairing(tuple(pairs), tuple(without_reference), tuple(without_prediction), missing, failed)
    return paired if dataset is None else _annotated(paired, dataset)


def _annotated(pairing: Pairing, dataset: ReferenceDataset) -> Pairing:
    """Pairs whose references say which classes they do not annotate."""
    references = dataset.with_annotated([pair.reference for pair in pairing.pairs])
    pairs = tuple(replace(pair, reference=item) for pair, item in zip(pairing.pairs, references, strict=True))
    return replace(pairing, pairs=pairs)


def _by_name(found: list[LabelFile], known: list[LabelFile], references: Path) -> dict[int, int]:
    """Position of the reference for each prediction that has one."""
    exact: dict[str, set[int]] = defaultdict(set)
    plain: dict[str, set[int]] = defaultdict(set)
    for j, item in enumerate(known):
        for name in item.names:
            exact[name].add(j)
        for name in _plain(item):
            plain[name].add(j)
    matches: dict[int, int] = {}
    taken: dict[int, int] = {}
    for i, item in enumerate(found):
        candidates = next((exact[name] for name in item.names if exact.get(name)), set())
        candidates = candidates or {j for name in _plain(item) for j in plain.get(name, ())}
        if len(candidates) > 1:
            raise InputError(
                f"prediction {item.case_id} matches several references: "
                f"{_some(sorted(known[j].case_id for j in candidates))}",
                where=references,
                fix="Give --table with columns case_id, prediction, reference.",
            )
        for j in candidates:
            if j in taken:
                raise InputError(
                    f"predictions {found[taken[j]].case_id} and {item.case_id} both match reference {known[j].case_id}",
                    where=references,
                    fix="Give --table with columns case_id, prediction, reference.",
                )
            matches[i], taken[j] = j, i
    return matches


def _by_table(predictions: Path, references: Path, table: CaseTable) -> Pairing:
    """Take the files the table names; a side it does not name is found by the case's id."""
    rows = table.rows.values()
    found = {} if all(row.prediction for row in rows) else _index(find_labels(predictions))
    known = {} if all(row.reference for row in rows) else _index(find_labels(references))
    pairs: list[CasePair] = []
    failed: dict[str, str] = {}
    for case_id, row in table.rows.items():
        prediction = _find(row.prediction, predictions, table.folder) if row.prediction else found.get(case_id)
        reference = _find(row.reference, references, table.folder) if row.reference else known.get(case_id)
        if prediction is None or reference is None:
            side, written = ("prediction", row.prediction) if prediction is None else ("reference", row.reference)
            failed[case_id] = f"the table's {side} {written or case_id} does not exist"
        else:
            pairs.append(CasePair(case_id, prediction, reference, row))
    if not pairs:
        raise InputError(
            f"none of the table's {len(failed)} cases has both files",
            where=table.folder,
            fix="Check the columns prediction and reference; paths may be relative to the table.",
        )
    return Pairing(tuple(pairs), failed=failed)


def _index(items: list[LabelFile]) -> dict[str, LabelFile]:
    return {name: item for item in reversed(items) for name in (*item.names, item.case_id)}


def _find(written: str, folder: Path, beside: Path) -> LabelFile | None:
    for path in (base / written for base in (folder, beside)):
        if path.is_file():
            return LabelFile(path, (path.name,))
        if path.is_dir():
            inside = find_labels(path)
            return inside[0] if len(inside) == 1 else None
    return None


def _row(prediction: LabelFile, reference: LabelFile, table: CaseTable | None) -> CaseRow:
    rows = {} if table is None else table.rows
    names = (prediction.case_id, *prediction.names, reference.case_id, *reference.names)
    row = next((rows[name] for name in names if name in rows), None)
    return row or CaseRow(prediction.case_id, patient=prediction.case_id)


def _plain(item: LabelFile) -> set[str]:
    return {plain_name(name) for name in item.names}


def _distinct(items: list[LabelFile], where: Path) -> None:
    first: dict[str, Path] = {}
    for item in items:
        if item.case_id in first:
            raise InputError(
                f"two files are called {item.case_id}: {first[item.case_id].name} and {item.path.name}",
                where=where,
                fix="Give --table with columns case_id, prediction, reference.",
            )
        first[item.case_id] = item.path


def _some(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
