"""Saves labels in a review: a file for each revision, then the event that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.io.files.file_hash import file_sha256
from medseg.io.files.review_folder import LABELS
from medseg.review import label_files
from medseg.review.case_store import CaseStore
from medseg.review.difference import difference
from medseg.review.events import check_name
from medseg.review.review_case import ReviewCase
from medseg.review.revisions import SAVED, Revision, RevisionConflict, revisions, table_to_json
from medseg.types import LabelMap, Source


class LabelSaving(CaseStore):
    """The cases of a review, and how labels are added to them."""

    def save_labels(
        self,
        case_id: str,
        labels: LabelMap,
        *,
        who: str,
        expected: int,
        origin: str,
        reader: str | None = None,
        instances: npt.NDArray[Any] | None = None,
        seconds: float | None = None,
    ) -> Revision:
        """Save labels as a new revision; it is on the disk when this returns.

        Parameters
        ----------
        case_id : str
            The case.
        labels : LabelMap
            On the grid of the case's scan.
        who : str
            The person who drew them.
        expected : int
            The revision they were drawn over; 0 for the model's labels.
        origin : str
            What they were drawn with.
        reader : str, optional
            The reader, in a blinded reading.
        instances : ndarray of int, shape (X, Y, Z), optional
            Ids of objects; 0 is background.
        seconds : float, optional
            How long the person worked on the case, where that is known.

        Raises
        ------
        RevisionConflict
            When `expected` is not the newest revision; nothing is saved.
        GeometryMismatch, InputError
            When the labels are not on the case's grid, or hold a value without a class.
        """
        check_name(who)
        result, model = self.result(case_id), self.model_labels(case_id)
        labels.geometry.match(model.geometry, what="the labels and the case's grid", where=case_id)
        self._check_newest(self.case(case_id, reader), expected)
        _, counts = self._model_labels.get((case_id, result.model_sha256), (None, None))
        changes = difference(labels, model, counts)
        foreign = np.setdiff1d(np.flatnonzero(changes.counts), [0, *(entry.value for entry in labels.table)])
        if len(foreign):
            raise InputError(
                f"the labels hold the value {int(foreign[0])}, which no class has",
                where=case_id,
                fix="Use the classes of the case.",
            )
        if instances is not None and (instances.shape != labels.array.shape or instances.min(initial=0) < 0):
            raise InputError(
                f"ids of shape {instances.shape} are not those of objects on this grid",
                where=case_id,
                fix="Give a whole number of 0 or more for each voxel.",
            )
        # The source's own orientation fields, bit by bit, are in the model's labels too.
        source = Source("nifti", (result.labels_path,)) if result.labels_path.suffix == ".gz" else Source("array")
        folder = self.folder / LABELS
        with label_files.written_labels(labels, folder, source) as part:
            body: dict[str, Any] = {
                "sha256": file_sha256(part),
                "base": expected,
                "origin": origin,
                "seconds": seconds,
                "model_sha256": result.model_sha256,
                "input_sha256": result.input_sha256,
                "classes": table_to_json(labels.table),
                "changed_voxels": changes.changed_voxels,
                "dice_with_model": changes.dice,
                "volume_ml": changes.volume_ml,
            }
            if instances is None:
                return self._record_labels(case_id, who, reader, part, None, body)
            own = self.objects(case_id, 0)
            body["n_objects"] = _n_objects(instances)
            body["n_model_objects"] = None if own is None else _n_objects(own)
            body["objects_changed"] = own is None or not np.array_equal(own, instances)
            with label_files.written_ids(instances, labels, folder, source) as ids:
                return self._record_labels(case_id, who, reader, part, ids, body)

    def _record_labels(
        self, case_id: str, who: str, reader: str | None, part: Path, ids: Path | None, body: dict[str, Any]
    ) -> Revision:
        """Name the files and commit their event, while nobody else can save."""
        placed: list[str] = []
        try:
            with self.log.transaction():
                self._check_newest(self.case(case_id, reader), body["base"])
                # Numbers are the case's own, also where blinded readers see only some of them.
                number = self.case(case_id).next_number
                body["revision"] = number
                placed.append(label_files.place(part, case_id, number, body["sha256"]))
                body["file"] = placed[0]
                if ids is not None:
                    digest = file_sha256(ids)
                    placed.append(label_files.place(ids, case_id, number, body["sha256"], kind=".instances"))
                    body["instances"] = {"file": placed[1], "sha256": digest}
                event = self.log.append(who, case_id, SAVED, body)
        except BaseException:
            # A signal may come when the event is committed already: then the files are those of a revision.
            recorded = {one.file.name for one in self.case(case_id).revisions}
            if placed and Path(placed[0]).name not in recorded:
                for name in placed:
                    (self.folder / name).unlink(missing_ok=True)
            raise
        return revisions([event], self.folder)[0]

    def _check_newest(self, case: ReviewCase, expected: int) -> None:
        if case.revision != expected:
            raise RevisionConflict(
                f"revision {case.revision} of the labels is the newest, not {expected}"
                if case.revision or not case.revisions
                else "the model's labels changed, and take the place of what nobody had corrected",
                where=case.case_id,
                fix="Load it, and decide what to keep of each.",
            )


def _n_objects(ids: npt.NDArray[Any]) -> int:
    return len(np.unique(ids[ids > 0]))
