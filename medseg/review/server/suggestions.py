"""Suggests the voxels of a class from a reader's marks: one computation at a time, and none that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from medseg.errors import InputError
from medseg.post.measure import channel_of_class
from medseg.review import label_files
from medseg.review.events import SUGGESTED
from medseg.review.marks import Box
from medseg.review.server.case_images import CaseImages
from medseg.review.server.click_answers import ClickAnswers
from medseg.review.server.marks_request import MarksRequest
from medseg.review.server.reading import Reading
from medseg.review.server.transport import packed_voxels
from medseg.review.walker_answer import walker_answer
from medseg.types import Geometry
from medseg.types.axis_order import nearest_ras

SECONDS = 30.0
METHOD, BY_MODEL = "random walker", "interactive model"
PROBABILITIES = "probabilities.nii.gz"
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Suggestion:
    """The voxels of a class in a box, of a grid with axes nearest RAS."""

    box: Box
    is_class: npt.NDArray[np.bool_]
    uses_probabilities: bool
    seconds: float
    zoom: int | None = None  # of a model that takes clicks; None where the random walker answered
    fault: str | None = None  # what was wrong with the model's own answer, in whose place this one is


class Refused(Exception):
    """The random walker has no answer to what is marked, for the reason of an error."""

    def __init__(self, error: InputError) -> None:
        super().__init__(error)
        self.error = error


class Superseded(Exception):
    """A newer request of the same reader on the same case came before this one was begun."""


class Suggester:
    """Answers marks with voxels, and records each answer in the trail."""

    def __init__(self, reading: Reading, images: CaseImages, clicks: ClickAnswers | None = None) -> None:
        self.reading, self.images, self.clicks = reading, images, clicks
        self._newest: dict[tuple[str, str], asyncio.Event] = {}  # set once a newer request comes
        self._turn = threading.Lock()
        self._kept: tuple[tuple[str, ...], Array] | None = None  # probabilities of one class, used last

    async def suggest(self, case_id: str, who: str, asked: MarksRequest) -> dict[str, Any]:
        """Return the voxels of a class within a box around marks.

        Raises
        ------
        HTTPException
            409 when a newer request of this reader takes this one's place, 503 when it takes too long.
        InputError
            When the marks lie outside the scan, or there is no such class.
        """
        key, replaced, stop = (who, case_id), asyncio.Event(), threading.Event()
        if (older := self._newest.get(key)) is not None:
            older.set()
        self._newest[key] = replaced
        work = asyncio.ensure_future(run_in_threadpool(self._work, case_id, who, asked, stop))
        newer = asyncio.ensure_future(replaced.wait())
        try:
            await asyncio.wait({work, newer}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if replaced.is_set():
                raise HTTPException(409, "A newer request took the place of this one.")
            if not work.done():
                raise HTTPException(503, f"That took longer than {SECONDS:.0f} s. Mark a smaller part.")
            found = work.result()
        except Refused as refused:
            await run_in_threadpool(self._refused, case_id, who, asked, refused.error)
            raise refused.error from refused
        finally:
            stop.set()  # a computation that waits for its turn is not begun; nobody would see its answer
            newer.cancel()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            if self._newest.get(key) is replaced:
                del self._newest[key]
        return await run_in_threadpool(self._recorded, case_id, who, asked, found)

    def _work(self, case_id: str, who: str, asked: MarksRequest, stop: threading.Event) -> Suggestion:
        with self._turn:
            if stop.is_set():
                raise Superseded
            started = time.perf_counter()
            if self.clicks is not None:
                self._check_class(case_id, who, asked.value)
                clicked = self.clicks.answer(case_id, who, asked)
                answer, fault = clicked.answer, clicked.fault
                if fault is not None and (walked := self._walk_instead(case_id, who, asked)) is not None:
                    return replace(walked, seconds=time.perf_counter() - started, fault=fault)
                box = Box(answer.box.start, answer.box.shape)
                return Suggestion(box, answer.is_class, False, time.perf_counter() - started, answer.zoom, fault)
            return replace(self._walk(case_id, who, asked), seconds=time.perf_counter() - started)

    def _walk_instead(self, case_id: str, who: str, asked: MarksRequest) -> Suggestion | None:
        """The random walker's answer in place of a model's; None where the marks are none that it takes."""
        try:
            return self._walk(case_id, who, asked)
        except (InputError, Refused):
            return None

    def _walk(self, case_id: str, who: str, asked: MarksRequest) -> Suggestion:
        """The random walker's answer."""
        image = self.images.image(case_id)
        order = nearest_ras(image.geometry)
        voxels = packed_voxels(image.file)
        asked.check_within(voxels.shape)
        present = asked.present or self.images.newest_mask(case_id, who, asked.value)
        probability = self._probability(case_id, who, asked.value, image.geometry)
        prior = None if probability is None else order.apply(probability)
        spacing = order.select(image.geometry.spacing)
        try:
            box, is_class = walker_answer(voxels, present, asked.interactions, spacing, prior)
        except InputError as error:
            raise Refused(error) from error
        return Suggestion(box, is_class, prior is not None, 0.0)

    def _recorded(self, case_id: str, who: str, asked: MarksRequest, found: Suggestion) -> dict[str, Any]:
        """Record a suggestion in the trail; return the answer to it."""
        result, table = self.reading.store.result(case_id), self.reading.table(case_id, who)
        body = {
            "class": next(entry.name for entry in table if entry.value == asked.value),
            **asked.trail(),
            # Of the grid that is sent, axes nearest RAS.
            "box": {"low": found.box.low, "size": found.box.size},
            "voxels": int(found.is_class.sum()),
            "method": METHOD if found.zoom is None else BY_MODEL,
            "uses_probabilities": found.uses_probabilities,
            "seconds": round(found.seconds, 3),
            "model_sha256": result.model_sha256,
            "input_sha256": result.input_sha256,
        }
        if self.clicks is not None:
            body |= {**self.clicks.by.trail(), "zoom": found.zoom, "fault": found.fault}
        event = self.reading.store.record(who, SUGGESTED, body, case_id)
        shown = ("box", "voxels", "method", "uses_probabilities")
        return {
            **{name: body[name] for name in shown},
            "fault": found.fault,
            "runs": runs_of(found.is_class),
            "n": event.n,
        }

    def _refused(self, case_id: str, who: str, asked: MarksRequest, error: InputError) -> None:
        """Record marks that had no answer, and why."""
        name = next((entry.name for entry in self.reading.table(case_id, who) if entry.value == asked.value), None)
        if name is not None:
            body = {"class": name, **asked.trail(), "refused": error.what}
            self.reading.store.record(who, SUGGESTED, body, case_id)

    def _check_class(self, case_id: str, who: str, value: int) -> str:
        """Return the name of a class by its value."""
        name = next((entry.name for entry in self.reading.table(case_id, who) if entry.value == value), None)
        if name is None:
            raise InputError(f"no class has the value {value}", fix="Use the classes of the case.")
        return name

    def _probability(self, case_id: str, who: str, value: int, geometry: Geometry) -> Array | None:
        """The model's probability of a class in 255ths, on the scan's own grid; None where there is none to use."""
        result, name = self.reading.store.result(case_id), self._check_class(case_id, who, value)
        sha = result.content["outputs"].get(PROBABILITIES)
        # Whoever must not see the model's labels must not be led by them either.
        if sha is None or self.reading.blind_model or self.reading.adjudication is not None:
            return None
        model = self.reading.store.model_labels(case_id).table
        channel = next((channel_of_class(model)[entry.value] for entry in model if entry.name == name), None)
        if channel is None:
            return None  # a class that a reader added
        key = (case_id, str(sha), name)
        if self._kept is None or self._kept[0] != key:
            self._kept = None
            path = label_files.checked(result.folder / PROBABILITIES, str(sha))
            opened = nib.Nifti1Image.from_filename(path, keep_file_open=True)
            x, y, z, channels = (*opened.shape, 1, 1)[:4]
            Geometry(opened.affine, (x, y, z)).match(geometry, what="probabilities and scan", where=case_id)
            if channels != len(model) + 1:
                return None  # of a model whose channels are no classes, such as borders; the answer says so
            # One class, the last axis of the file, and slice by slice: a CT of many classes would not fit into memory.
            kept = np.empty((x, y, z), np.uint8, order="F")
            for k in range(z):
                values = np.nan_to_num(np.asanyarray(opened.dataobj[:, :, k, channel]))
                kept[..., k] = np.rint(255 * np.clip(values, 0, 1))
            self._kept = key, kept
        return self._kept[1]


def runs_of(is_class: npt.NDArray[np.bool_]) -> list[int]:
    """Lengths of runs outside and inside in turn, the first axis fastest, beginning with those outside."""
    flat = is_class.ravel(order="F")
    ends = [*(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), flat.size]
    lengths = np.diff([0, *ends]).tolist()
    return [0, *lengths] if flat.size and flat[0] else lengths
