"""What the files of a dataset tell when nobody says it: channels and dimensions of the images, values of the labels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medseg.data.dataset import ArrayKeys, DatasetCase
from medseg.data.description import DatasetDescription
from medseg.data.frames import image_frame, label_frame
from medseg.data.reference_files import read_array_labels, read_array_scan
from medseg.data.time_stacks import load_image, load_labels
from medseg.errors import InputError, MedsegError
from medseg.io.arrays import is_array_file
from medseg.io.read import read_any_labels
from medseg.types import AnyLabels, LabelMap, LabelTable, Scan

# The only class of a dataset whose references number objects.
OBJECT = "object"
COLORS = ("red", "green", "blue")
log = logging.getLogger("medseg.data")


def first_scan(cases: Sequence[DatasetCase], arrays: ArrayKeys | None = None) -> Scan | None:
    """Image of the first case that has a readable one; None where none has, which the audit finds of every case."""
    for case in cases:
        path = case.images[0]
        try:
            if case.frame is not None:
                return image_frame(path, case.frame)
            return read_array_scan(path, arrays or ArrayKeys()) if is_array_file(path) else load_image(path)
        except MedsegError as error:
            log.debug("%s: %s", case.case_id, error)
    return None


def table_of_references(
    cases: Sequence[DatasetCase], given: DatasetDescription, arrays: ArrayKeys | None = None
) -> LabelTable:
    """Classes for the values that the references of labeled cases hold; nameless, but where the files name them.

    A reference that cannot be read is a finding of its case when the dataset is audited.
    """
    values: set[int] = set()
    names: dict[int, str] = {}
    failed: MedsegError | None = None
    for case in cases:
        assert case.reference is not None
        path = case.reference
        try:
            if case.frame is not None:
                labels: AnyLabels = label_frame(path, case.frame)
            elif given.overlapping and not is_array_file(path):
                labels = read_any_labels(path)
            else:
                labels = read_array_labels(path, arrays or ArrayKeys()) if is_array_file(path) else load_labels(path)
        except MedsegError as error:
            failed = failed or error
            log.debug("%s: %s", case.case_id, error)
            continue
        held = np.unique(labels.array).tolist() if isinstance(labels, LabelMap) else [c.value for c in labels.table]
        values |= {given.values.get(v, v) for v in held}
        names.update({c.value: c.name for c in labels.table if c.name != f"class-{c.value}"})
    values -= {0, given.ignore}
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
