"""Answers marks by a model that takes clicks; the scans used last stay prepared."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from medseg.errors import InputError, MedsegError
from medseg.infer.clicks.model import ZOOMS, ClickModel
from medseg.infer.clicks.session import Answer, ClickSession, Present
from medseg.io.read import read_scan
from medseg.review.server.case_images import CaseImages
from medseg.review.server.marks_request import MarksRequest
from medseg.review.server.reading import Reading
from medseg.review.server.transport import packed_voxels
from medseg.types.axis_order import nearest_ras

log = logging.getLogger("medseg.review")
KEPT = 2  # scans that stay prepared: the open case, and the one before


class ClickAnswers:
    """One model for the whole review."""

    def __init__(self, model: ClickModel, reading: Reading, images: CaseImages) -> None:
        self.model, self.reading, self.images = model, reading, images
        self._sessions: OrderedDict[tuple[str, str], ClickSession] = OrderedDict()
        self._lock = threading.Lock()
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="clicks")

    def expect(self, case_id: str) -> None:
        """Prepare a case that was opened, aside, so that its first click need not wait for that."""

        def work() -> None:
            try:
                self.session(case_id)
            except MedsegError as error:
                log.debug("%s is not prepared for clicks: %s", case_id, error)  # the first click says so

        self._aside.submit(work)

    def session(self, case_id: str) -> ClickSession:
        """Return the prepared scan of a case, on the grid that is sent to the page.

        Raises
        ------
        ModelError
            When the scan has other channels than the model needs.
        """
        key = (case_id, str(self.reading.store.result(case_id).input_sha256))
        with self._lock:
            if key not in self._sessions:
                scan = read_scan(self.reading.store.scan(case_id), allow_uneven=True, allow_incomplete=True)
                grid = nearest_ras(scan.geometry).geometry(scan.geometry)
                self._sessions[key] = ClickSession(self.model, scan, grid)
                while len(self._sessions) > KEPT:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(key)
            return self._sessions[key]

    def about(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """Say which model answers, and how far around a mark it looks at what is drawn, in voxels that are sent."""
        spacing = self.model.package.card.input.spacing or (None, None, None)
        order = self.model.package.card.input.axis_order
        reach = []
        for axis, mm in enumerate(case["spacing"]):
            place = order.index(axis)
            own = spacing[place] or mm
            reach.append(int(np.ceil(self.model.patch[place] * ZOOMS[-1] * own / mm)) + 1)
        return {"model": str(self.model.package.identity.name), "reach": reach}

    def answer(self, case_id: str, who: str, asked: MarksRequest) -> Answer:
        """Return what becomes of the class around the newest mark.

        Raises
        ------
        InputError
            When a mark lies outside the scan, or there is nothing that a mark could take away from.
        """
        session = self.session(case_id)
        shape = np.array(session.grid.shape)
        for one in asked.interactions:
            if (one.voxels >= shape).any():
                raise InputError("a mark lies outside the scan", fix=f"Give voxels within {tuple(shape.tolist())}.")
        present = asked.present or self._newest(case_id, who, asked.value)
        if (np.array(present.low) + present.mask.shape > shape).any():
            raise InputError("the box of the present mask lies outside the scan", fix="Give one within the scan.")
        if not present.mask.any() and all(one.is_outside for one in asked.interactions):
            raise InputError(
                "nothing is marked as belonging to the class, and nothing of it is drawn here",
                fix="Mark at least one voxel that belongs to it.",
            )
        return session.answer(present, asked.interactions)

    def _newest(self, case_id: str, who: str, value: int) -> Present:
        """The class in the newest labels, for clients that do not say what is drawn."""
        revision = self.reading.store.case(case_id, self.reading.reader(who)).revision
        voxels = packed_voxels(self.images.labels(case_id, revision, who).file)
        return Present((0, 0, 0), voxels == value)
