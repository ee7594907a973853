"""Scans and labels of the cases read last, packed for the browser, so that parts of them are answered at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import psutil

from medseg.errors import UsageError
from medseg.infer.clicks.session import Present
from medseg.io.instances import IDS, TABLE, read_instances
from medseg.io.nifti import read_scan as read_nifti
from medseg.io.read import read_scan
from medseg.review.case_table import with_values_of
from medseg.review.label_files import checked
from medseg.review.server.reading import Reading
from medseg.review.server.transport import pack, pack_image, packed_voxels
from medseg.types import Geometry, LabelMap
from medseg.types.instances import InstanceRow
from medseg.types.labels import smallest_label_dtype

MOST_OF_MEMORY = 0.25
FEWEST = 4  # of the open case and the next one, scan and labels: kept however large they are


@dataclass(frozen=True, eq=False)
class Packed:
    """A file for the browser."""

    file: memoryview
    geometry: Geometry  # of the scan's own file
    modality: str | None
    is_2d: bool = False


class CaseImages:
    """Reads and packs; each at most once at the same time, however often it is asked for."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._kept: OrderedDict[tuple[str, ...], Packed] = OrderedDict()
        self._lock, self._busy = threading.Lock(), dict[tuple[str, ...], threading.Lock]()
        self._most = int(MOST_OF_MEMORY * psutil.virtual_memory().total)

    def image(self, case_id: str) -> Packed:
        """Return the scan; its first channel, or the mean of a color image's."""
        result = self.reading.store.result(case_id)

        def make() -> Packed:
            scan = read_scan(self.reading.store.scan(case_id), allow_uneven=True, allow_incomplete=True)
            model = self.reading.store.model_labels(case_id)
            model.geometry.match(scan.geometry, what="labels and scan", where=case_id)
            array = scan.array if scan.source.format == "image2d" else scan.array[:1]
            is_2d = scan.source.format == "image2d"
            return Packed(pack_image(array, scan.geometry), scan.geometry, scan.modality, is_2d)

        return self._get(("image", case_id, result.input_sha256), make)

    def labels(self, case_id: str, revision: int, who: str) -> Packed:
        """Return a revision of the labels, 0 for the model's; blank where the reader must not see those."""
        store, reader = self.reading.store, self.reading.reader(who)
        sha, table = store.result(case_id).model_sha256, self.reading.table(case_id, who)

        def make() -> Packed:
            if revision == 0 and self.reading.adjudication is not None:
                labels = self.reading.adjudication.agreed(case_id)
            elif revision == 0 and self.reading.blind_model:
                labels = blank(store.model_labels(case_id))
            else:
                labels = store.labels(case_id, revision, reader)
            labels = with_values_of(labels, table)
            dtype = smallest_label_dtype(labels.table.largest)
            return Packed(pack(labels.array.astype(dtype, copy=False), labels.geometry), labels.geometry, None)

        values = ",".join(f"{entry.name}={entry.value}" for entry in table)
        return self._get(("labels", case_id, sha, str(revision), reader or "", values), make)

    def newest_mask(self, case_id: str, who: str, value: int) -> Present:
        """Return a class in the newest labels, for clients that do not say what is drawn."""
        revision = self.reading.store.case(case_id, self.reading.reader(who)).revision
        return Present((0, 0, 0), packed_voxels(self.labels(case_id, revision, who).file) == value)

    def reading_labels(self, case_id: str, name: str, who: str) -> Packed:
        """Return the labels of one of the two readings to settle, A or B.

        Raises
        ------
        UsageError
            When no readings are settled here, or there is none of this name.
        """
        settled = self.reading.adjudication
        if settled is None:
            raise UsageError("no readings are settled here", where=case_id, fix="Begin with --adjudicate.")
        table = self.reading.table(case_id, who)

        def make() -> Packed:
            labels = with_values_of(settled.labels(case_id, name), table)
            dtype = smallest_label_dtype(labels.table.largest)
            return Packed(pack(labels.array.astype(dtype, copy=False), labels.geometry), labels.geometry, None)

        return self._get(("reading", case_id, name), make)

    def instances(self, case_id: str, revision: int) -> Packed | None:
        """Return the ids of objects of a revision; None where it has none."""
        found = self.reading.store.objects_file(case_id, revision)
        if found is None or self.reading.adjudication is not None or (revision == 0 and self.reading.blind_model):
            return None
        path, sha = found

        def make() -> Packed:
            scan = read_nifti(checked(path, sha))
            return Packed(pack(scan.array[0].astype(np.int32, copy=False), scan.geometry), scan.geometry, None)

        return self._get(("instances", case_id, sha), make)

    def rows(self, case_id: str) -> tuple[InstanceRow, ...] | None:
        """Return the objects that the model found; None where it makes none, or two readings of classes are settled."""
        result = self.reading.store.result(case_id)
        if (
            self.reading.blind_model
            or self.reading.adjudication is not None
            or not {IDS, TABLE} <= set(result.content["outputs"])
        ):
            return None
        return read_instances(result.folder).rows

    def _get(self, key: tuple[str, ...], make: Callable[[], Packed]) -> Packed:
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            made = make()
            with self._lock:
                self._kept[key] = made
                self._busy.pop(key, None)
                while len(self._kept) > FEWEST and sum(len(one.file) for one in self._kept.values()) > self._most:
                    self._kept.popitem(last=False)
            return made


def blank(labels: LabelMap) -> LabelMap:
    """Labels on the same grid, with nothing drawn."""
    return LabelMap(np.zeros_like(labels.array), labels.geometry, labels.table)
