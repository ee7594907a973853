"""What the files of a dataset tell when nobody says it: channels and dimensions of the images, values of the labels."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medseg.data.dataset import ArrayKeys, DatasetCase
from medseg.data.description import DatasetDescription
from medseg.data.frames import image_frame, label_frame
from medseg.data.reference_files import read_array_labels, read_array_scan
from medseg.data.reference_texture import JPEG, why_no_label_map
from medseg.data.time_stacks import load_image, load_labels
from medseg.errors import InputError, MedsegError
from medseg.io.arrays import is_array_file
from medseg.io.read import read_any_labels
from medseg.types import AnyLabels, LabelMap, LabelTable, Scan

# The only class of a dataset whose references number objects.
OBJECT = "object"
# Lead of one number of channels over another at which no more images are read, and at how many none is in any case.
LEAD, MOST_READ = 2, 9
# Labels with so many values that most others do not hold are looked at, whether they are label maps.
RARE = 4
COLORS = ("red", "green", "blue")
log = logging.getLogger("medseg.data")


def first_scan(cases: Sequence[DatasetCase], arrays: ArrayKeys | None = None) -> Scan | None:
    """First readable image with as many channels as most have; None where none is readable, which the audit finds.

    Images are read until one number of channels leads by two, so that one wrong file does not decide for all others.
    """
    firsts: dict[int, Scan] = {}
    votes: Counter[int] = Counter()
    for case in cases:
        path = case.images[0]
        try:
            if case.frame is not None:
                scan = image_frame(path, case.frame)
            else:
                scan = read_array_scan(path, arrays or ArrayKeys()) if is_array_file(path) else load_image(path)
        except MedsegError as error:
            log.debug("%s: %s", case.case_id, error)
            continue
        firsts.setdefault(scan.channels, scan)
        votes[scan.channels] += 1
        counts = [count for _, count in votes.most_common(2)]
        if counts[0] - sum(counts[1:]) >= LEAD or votes.total() >= MOST_READ:
            break
    return firsts[votes.most_common(1)[0][0]] if votes else None


def table_of_references(
    cases: Sequence[DatasetCase], given: DatasetDescription, arrays: ArrayKeys | None = None
) -> LabelTable:
    """Classes for the values that the references of labeled cases hold; nameless, but where the files name them.

    A reference that cannot be read is a finding of its case when the dataset is audited.
    """
    held: list[tuple[DatasetCase, set[int]]] = []
    names: dict[int, str] = {}
    failed: MedsegError | None = None
    for case in cases:
        assert case.reference is not None
        try:
            labels = _read(case.reference, case.frame, given, arrays)
        except MedsegError as error:
            failed = failed or error
            log.debug("%s: %s", case.case_id, error)
            continue
        found = np.unique(labels.array).tolist() if isinstance(labels, LabelMap) else [c.value for c in labels.table]
        held.append((case, {given.values.get(v, v) for v in found}))
        names.update({c.value: c.name for c in labels.table if c.name != f"class-{c.value}"})
    usable = [one for one in held if names or not _is_no_label_map(*one, held, given, arrays)]
    values = set().union(*(own for _, own in usable or held)) - {0, given.ignore}
    if not values:
        if failed is not None:
            return LabelTable.unnamed([1])  # each file is a finding of its case, with its reason
        where = cases[0].reference if cases else None
        raise InputError("no reference holds a class", where=where, fix="Name the classes under 'labels'.")
    unnamed = LabelTable.unnamed(sorted(values))
    known = {value: names.get(value, unnamed.name_of(value)) for value in values}
    if given.values or len(set(known.values())) < len(known):
        return unnamed
    return LabelTable(tuple(replace(c, name=known[c.value]) for c in unnamed))


def _read(path: Path, frame: int | None, given: DatasetDescription, arrays: ArrayKeys | None) -> AnyLabels:
    if frame is not None:
        return label_frame(path, frame)
    if given.overlapping and not is_array_file(path):
        return read_any_labels(path)
    return read_array_labels(path, arrays or ArrayKeys()) if is_array_file(path) else load_labels(path)


def _is_no_label_map(
    case: DatasetCase,
    own: set[int],
    held: Sequence[tuple[DatasetCase, set[int]]],
    given: DatasetDescription,
    arrays: ArrayKeys | None,
) -> bool:
    """Whether the audit will block a case for its values, which then are no classes.

    Read again are only JPEG files and labels with several values that most others do not hold.
    """
    assert case.reference is not None
    rare = sum(2 * sum(value in other for _, other in held) <= len(held) for value in own)
    if rare < RARE and case.reference.suffix.lower() not in JPEG:
        return False
    labels = _read(case.reference, case.frame, given, arrays)
    return isinstance(labels, LabelMap) and why_no_label_map(labels.array, case.reference, named=False) is not None
