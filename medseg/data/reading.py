"""Reads one case of a training dataset: its channels as one scan, and its reference."""

from __future__ import annotations

import numpy as np

from medseg.data.dataset import DatasetCase
from medseg.errors import InputError
from medseg.io import nifti
from medseg.types import LabelMap, Scan

__all__ = ["read_case"]


def read_case(case: DatasetCase) -> tuple[Scan, LabelMap]:
    """Read a labelled case.

    Returns
    -------
    tuple of Scan and LabelMap
        All channels on one grid, and the reference on the same.

    Raises
    ------
    InputError
        When a file cannot be read.
    GeometryMismatch
        When channels or reference lie on different grids.
    """
    if case.reference is None:
        raise InputError("has no reference", where=case.case_id, fix="Leave it out of training.")
    scans = [nifti.read_scan(path) for path in case.images]
    first = scans[0]
    for path, scan in zip(case.images[1:], scans[1:], strict=True):
        first.geometry.match(scan.geometry, what="the channels", where=path)
    if len(scans) > 1:
        first = first.with_array(np.concatenate([scan.array for scan in scans]), first.geometry)
    reference = nifti.read_labels(case.reference)
    first.geometry.match(reference.geometry, what="image and reference", where=case.reference)
    return first, reference
