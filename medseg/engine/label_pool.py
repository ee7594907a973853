"""The cases of a dataset that are labeled, and the scans to choose from which to label next."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from medseg.counted import counted
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_channels
from medseg.data.scans_alone import holds_scans_alone
from medseg.engine.outcomes import failure, pending
from medseg.engine.stages.reading import Discover, Read
from medseg.engine.stages.segment import Segment
from medseg.errors import InputError, UsageError
from medseg.io.files.archive import place_within
from medseg.io.files.case_id import file_name, unique
from medseg.io.files.patient_names import public_name
from medseg.io.files.walk import absolute, real
from medseg.types import Scan
from medseg.types.channels import WantedChannel
from medseg.types.run import CaseOutcome, Inputs
from medseg.types.scan import FoundScan
from medseg.types.stage import RunContext

# Where the Decathlon and nnU-Net keep scans without labels.
MORE_SCANS = "imagesTs"


@dataclass(frozen=True)
class PoolCase:
    """A case, labeled or to choose: what it is called, also in logs, where it lies, and how it is read."""

    case_id: str
    path: Path
    outcome: CaseOutcome
    read: Callable[[], Scan]


@dataclass(frozen=True)
class Pool:
    """Cases by id, and files that claim to be scans and cannot be read."""

    labeled: tuple[PoolCase, ...]
    unlabeled: tuple[PoolCase, ...]
    corrupt: tuple[CaseOutcome, ...] = ()

    def __str__(self) -> str:
        return f"{counted(len(self.labeled), 'labeled case')}, {counted(len(self.unlabeled), 'scan')} to choose from"


def find_pool(dataset: Path, scans: Sequence[Path], segment: Segment) -> Pool:
    """Find what is labeled and what is not, in a dataset or a folder of scans alone, and in `scans` besides."""
    channels = segment.channels()
    if holds_scans_alone(dataset):
        labeled: list[PoolCase] = []
        unlabeled: list[PoolCase] = []
        places, own = [dataset, *scans], set[Path]()
    else:
        data = read_dataset(dataset)
        _check_order(data, channels)
        labeled = [_of_dataset(data, case) for case in data.labeled]
        unlabeled = [_of_dataset(data, case) for case in data.cases if case.reference is None]
        places, own = [*_more_scans(data), *scans], {real(file) for case in data.cases for file in case.files}
    found, corrupt = _heap(places, scans, own, segment)
    taken = [case.case_id for case in (*labeled, *unlabeled)]
    ids = unique([scan.case_id for scan in found], [absolute(scan.files[0]) for scan in found], taken)
    unlabeled += [_of_heap(replace(scan, case_id=case_id)) for case_id, scan in zip(ids, found, strict=True)]
    if not unlabeled and not corrupt:
        raise InputError(
            "every case has a label, so that there is none to choose" if labeled else "no scan was found",
            where=dataset,
            fix="Name a folder of scans without labels: --scans PATH." if labeled else "Give a folder of scans.",
        )
    return Pool(tuple(labeled), tuple(sorted(unlabeled, key=lambda case: case.case_id)), corrupt)


def _check_order(data: Dataset, wanted: Sequence[WantedChannel]) -> None:
    """Refuse a dataset that has the model's channels in another order."""
    own, needed = ([channel.name for channel in channels] for channels in (data.channels, wanted))
    if own != needed and sorted(own) == sorted(needed):
        raise UsageError(
            f"the dataset's channels are {', '.join(own)}, in this order, and the model's are {', '.join(needed)}",
            where=data.folder,
            fix="List the dataset's in the model's order.",
        )


def _more_scans(data: Dataset) -> list[Path]:
    """The folder of scans without labels that two layouts have beside those with; none where these have labels too."""
    folder = data.folder / MORE_SCANS
    is_there = data.layout in ("msd", "nnunet") and folder.is_dir() and not (data.folder / "labelsTs").is_dir()
    return [folder] if is_there else []


def _heap(
    places: Sequence[Path], named: Sequence[Path], own: set[Path], segment: Segment
) -> tuple[list[FoundScan], tuple[CaseOutcome, ...]]:
    """Scans in some folders that are none of a dataset's own files, chosen and brought together as `predict` does.

    Those that the reader named must hold scans.
    """
    if not places:
        return [], ()
    inputs = Inputs(tuple(places), series_criteria=segment.series_criteria(), channels=segment.channels())
    discovery = Discover(Discover.Options()).run(inputs, RunContext(Path()))
    read = [real(_place(file)) for scan in discovery.found for file in scan.files]
    read += [real(_place(left.path)) for left in discovery.skipped if left.corrupt]
    for place in map(real, named):
        if not any(place in (path, *path.parents) for path in read):
            raise InputError(
                "no scan was found there",
                where=f"--scans {place}",
                fix="Check the path (medseg inspect says what is in a folder), or leave it out.",
            )
    corrupt = tuple(
        failure(CaseOutcome(left.case_id, "pending", left.source or "a file"), left.reason, left.fix, left.code)
        for left in discovery.skipped
        if left.corrupt and real(left.path) not in own
    )
    return [scan for scan in discovery.found if own.isdisjoint(map(real, scan.files))], corrupt


def _of_dataset(data: Dataset, case: DatasetCase) -> PoolCase:
    files = [file for scan in case.found for file in scan.files] or [*case.images]
    outcome = CaseOutcome(public_name(case.case_id), "pending", file_name(case.images[0]))
    read = partial(read_channels, replace(data, cases=(case,)), case)
    return PoolCase(case.case_id, Path(os.path.commonpath(files)), outcome, read)


def _place(file: Path) -> Path:
    """Where a file lies, also of what is in an archive."""
    inside = place_within(file)
    return file if inside is None else Path(inside[0]) / inside[1]


def _of_heap(found: FoundScan) -> PoolCase:
    is_packed = place_within(found.files[0]) is not None
    place = _place(found.files[0]) if is_packed else Path(os.path.commonpath(found.files))
    return PoolCase(found.case_id, place, pending(found, Path()), partial(_read, found))


def _read(found: FoundScan) -> Scan:
    return Read(Read.Options()).run(found, RunContext(Path())).scan
