"""Answers marks by what takes clicks, a model here or a server; the scans used last stay prepared."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from medseg.errors import InputError, MedsegError
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.model import ZOOMS, ClickModel
from medseg.infer.clicks.session import Answer, ClickSession, Present, cut
from medseg.infer.clicks.trust import fault, obeyed
from medseg.io.read import read_scan
from medseg.review.server.case_images import CaseImages
from medseg.review.server.marks_request import MarksRequest
from medseg.review.server.reading import Reading
from medseg.types import Geometry, Scan
from medseg.types.axis_order import nearest_ras

log = logging.getLogger("medseg.review")


class Session(Protocol):
    """One scan, ready for clicks."""

    grid: Geometry
    """Whose voxels interactions, masks and answers are in."""

    def answer(self, present: Present, interactions: Sequence[Interaction]) -> Answer:
        """Return what becomes of a class after interactions, the oldest first."""
        ...


class Answerer(Protocol):
    """What answers clicks."""

    name: str
    """As the page shows it."""

    kept: int
    """Sessions that are open at a time."""

    def reach(self, case: Mapping[str, Any]) -> list[int]:
        """How far around a mark it looks at what is drawn, in voxels that are sent to the page."""
        ...

    def trail(self) -> dict[str, Any]:
        """What the audit trail says of it."""
        ...

    def open(self, scan: Scan, grid: Geometry) -> Session:
        """Make a scan ready, on this grid."""
        ...

    def give_back(self, session: Session) -> None:
        """End a session."""
        ...


class ByModel:
    """A model that takes clicks, in this process."""

    kept = 2  # the open case, and the one before

    def __init__(self, model: ClickModel) -> None:
        self.model = model
        self.name = str(model.package.identity.name)

    def reach(self, case: Mapping[str, Any]) -> list[int]:
        """As far as its coarsest patch."""
        card = self.model.package.card.input
        spacing, found = card.spacing or (None, None, None), []
        for axis, mm in enumerate(case["spacing"]):
            place = card.axis_order.index(axis)
            found.append(int(np.ceil(self.model.patch[place] * ZOOMS[-1] * (spacing[place] or mm) / mm)) + 1)
        return found

    def trail(self) -> dict[str, Any]:
        """Name and hash of the package."""
        package = self.model.package
        return {"clicks_model": str(package.identity), "clicks_model_sha256": package.hash}

    def open(self, scan: Scan, grid: Geometry) -> Session:
        """Prepare a scan."""
        return ClickSession(self.model, scan, grid)

    def give_back(self, session: Session) -> None:
        """Nothing is lent."""


@dataclass(frozen=True, eq=False)
class Clicked:
    """What may be drawn, and what was wrong with what was answered in its place."""

    answer: Answer
    fault: str | None


class ClickAnswers:
    """What answers clicks, for the whole review."""

    def __init__(self, by: Answerer, reading: Reading, images: CaseImages) -> None:
        self.by, self.reading, self.images = by, reading, images
        self._sessions: OrderedDict[tuple[str, str], Session] = OrderedDict()
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

    def session(self, case_id: str) -> Session:
        """Return the prepared scan of a case, on the grid that is sent to the page.

        Raises
        ------
        ModelError
            When the scan has other channels than the model needs.
        """
        key = (case_id, str(self.reading.store.result(case_id).input_sha256))
        with self._lock:
            if key not in self._sessions:
                while len(self._sessions) >= self.by.kept:
                    self.by.give_back(self._sessions.popitem(last=False)[1])
                scan = read_scan(self.reading.store.scan(case_id), allow_uneven=True, allow_incomplete=True)
                grid = nearest_ras(scan.geometry).geometry(scan.geometry)
                self._sessions[key] = self.by.open(scan, grid)
            self._sessions.move_to_end(key)
            return self._sessions[key]

    def close(self) -> None:
        """End every session."""
        self._aside.shutdown()
        with self._lock:
            while self._sessions:
                self.by.give_back(self._sessions.popitem()[1])

    def about(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """What the page is told of a case: who answers, and how far around a mark that looks at what is drawn."""
        return {"model": self.by.name, "reach": self.by.reach(case)}

    def answer(self, case_id: str, who: str, asked: MarksRequest) -> Clicked:
        """Return what becomes of the class around the newest mark; no more than is marked where the answer has a fault.

        Raises
        ------
        InputError
            When a mark lies outside the scan, or there is nothing that a mark could take away from.
        """
        session = self.session(case_id)
        asked.check_within(session.grid.shape)
        present = asked.present or self.images.newest_mask(case_id, who, asked.value)
        if not present.mask.any() and all(one.is_outside for one in asked.interactions):
            raise InputError(
                "nothing is marked as belonging to the class, and nothing of it is drawn here",
                fix="Mark at least one voxel that belongs to it.",
            )
        try:
            answer = session.answer(present, asked.interactions)
        except MedsegError:
            self._forget(session)  # a lease may have ended: the next click opens the case anew
            raise
        before = cut(present, answer.box)
        found = fault(before, answer)
        return Clicked(answer if found is None else obeyed(before, answer, asked.interactions), found)

    def _forget(self, session: Session) -> None:
        with self._lock:
            for key in [key for key, one in self._sessions.items() if one is session]:
                self.by.give_back(self._sessions.pop(key))
