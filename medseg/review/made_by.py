"""Which model made the results that are reviewed, and what a person made of a case's labels since."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from medseg.config.safe_json import parse_json
from medseg.errors import InputError, MedsegError
from medseg.io.dicom.inflated import read_dicom
from medseg.io.nifti_header import open_header
from medseg.models.package import ModelPackage
from medseg.review.results import CaseResult
from medseg.tracking.resolve import resolve_model
from medseg.types import LabelMap, LabelTable, ModelIdentity
from medseg.types.overlapping import OverlappingLabels

Labels = TypeVar("Labels", bound=LabelMap | OverlappingLabels)
IDENTITY = re.compile(r"(?P<name>\S+) (?P<version>.+) \([0-9a-f]{12}\)")
NOTE = "medseg: "  # before a mark, in the description of a NIfTI file


@dataclass(frozen=True)
class MadeBy:
    """The model of a folder of results; its package is None where it is not on this machine.

    - `installed`: what is here of that name, where it is another version.
    """

    identity: ModelIdentity
    package: ModelPackage | None = None
    installed: ModelIdentity | None = None


def made_by(results: Path, given: ModelPackage | None = None) -> MadeBy:
    """Say which model made a folder of results, by its ``run.json``.

    The model's own table is found where it is installed, or is that of a package `given`, which must be the very same.

    Raises
    ------
    InputError
        When ``run.json`` names no model, or another one than is given.
    """
    try:
        run = parse_json((results / "run.json").read_text(encoding="utf-8"))
        stated = IDENTITY.fullmatch(run["versions"]["model"])
        (digest,) = {step["model_sha256"] for step in run["steps"].values() if "model_sha256" in step}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        stated, digest = None, ""
    if stated is None:
        raise InputError("run.json does not say which model made these results", where=results, fix="Run it again.")
    identity = ModelIdentity(stated["name"], stated["version"], digest)
    if given is not None:
        if given.hash != digest:
            raise InputError(
                f"these results were made by {identity}, not by {given.identity}",
                where="--model",
                fix="Give the model that made them.",
            )
        return MadeBy(identity, given)
    try:
        package = resolve_model(identity.name)
    except MedsegError:
        return MadeBy(identity)
    return MadeBy(identity, package) if package.hash == digest else MadeBy(identity, installed=package.identity)


def identity_of(result: CaseResult, maker: MadeBy) -> ModelIdentity:
    """Return the identity of the model of one case, with the mark of a result that was to be withheld."""
    if not result.labels_path.name.endswith(".nii.gz"):
        return maker.identity
    text = bytes(open_header(result.labels_path).header["descrip"]).rstrip(b"\0").decode("ascii", "replace")
    return replace(maker.identity, mark=text.removeprefix(NOTE) if text.startswith(NOTE) else "")


def coded(labels: Labels, result: CaseResult, maker: MadeBy) -> Labels:
    """Give labels the model's own table, codes and colors included; else what a DICOM SEG of the case says of it."""
    table = _of_seg(result.folder / "labels.seg.dcm") if maker.package is None else maker.package.card.table
    if table is None:
        return labels
    known = {(entry.value, entry.name): entry for entry in table}
    if {entry.value for entry in table} == {entry.value for entry in labels.table}:
        own = tuple(known.get((entry.value, entry.name), entry) for entry in labels.table)
        return replace(labels, table=LabelTable(own))
    return labels


def after(
    model: LabelMap, labels: LabelMap, identity: ModelIdentity, reviewer: str, *, is_unaided: bool = False
) -> ModelIdentity:
    """Return the identity of labels that a person may have changed: which classes were, and by whom.

    Where nothing was, it is the model's, so that files of the labels are the very ones that the model's are. All
    classes of labels drawn without the model's in sight are the person's.
    """
    if is_unaided:
        return replace(identity, reviewer=reviewer, drawn=tuple(entry.value for entry in labels.table))
    corrected: list[int] = []
    drawn: list[int] = []
    for entry in labels.table:
        was, now = model.array == entry.value, labels.array == entry.value
        if np.array_equal(was, now):
            continue
        (corrected if was.any() else drawn).append(entry.value)
    if not corrected and not drawn:
        return identity
    return replace(identity, reviewer=reviewer, corrected=tuple(corrected), drawn=tuple(drawn))


def _of_seg(path: Path) -> LabelTable | None:
    from medseg.io.dicom_results.coding import table_of
    from medseg.io.dicom_results.seg_frames import classes_of

    if not path.is_file():
        return None
    try:
        return table_of(list(classes_of(read_dicom(path, stop_before_pixels=True)).values()))
    except (MedsegError, OSError, AttributeError, KeyError, ValueError):
        return None
