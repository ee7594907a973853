"""`medseg.label_next`: which scans to label next, so that a model learns most from them."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from medseg.combine.segment import AnyPredictor, open_model, segment_scan
from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import AtLeast1, Device
from medseg.counted import counted
from medseg.data.examine import voxel_hash
from medseg.data.looks_like_labels import looks_like_labels
from medseg.engine.label_pool import Pool, PoolCase, find_pool
from medseg.engine.outcomes import explained
from medseg.engine.stages.segment import Segment
from medseg.errors import InputError, MedsegError
from medseg.harmless import TableWriter
from medseg.infer.next_cases import choose_next, expected_dice, look, most_uncertain
from medseg.infer.options import InferOptions
from medseg.io.files.atomic import write_private
from medseg.io.files.writable import check_writable
from medseg.isolation.each import each_isolated
from medseg.models.package import load_package
from medseg.prepare.gray_to_rgb import in_color
from medseg.progress import case_progress
from medseg.types.run import CaseOutcome, Preparing

log = logging.getLogger("medseg.run")


@dataclass(frozen=True)
class NextCase:
    """A scan to label next.

    Parameters
    ----------
    rank : int
        1 is to be labeled first.
    case_id : str
        The case.
    path : Path
        Where its scan is: a file or, of a DICOM series, its folder; of several channels the first, or their folder.
    expected_dice : float
        Dice that the model's labels would have were its probabilities right.
    reason : str
        Why it was chosen.
    """

    rank: int
    case_id: str
    path: Path
    expected_dice: float
    reason: str


@dataclass(frozen=True)
class NextCases:
    """The scans to label next, and how each case that was read ended.

    Parameters
    ----------
    cases : tuple of NextCase
        By rank.
    labeled, candidates : int
        Cases that have a label, and scans that were there to choose from, before any was skipped.
    outcomes : tuple of CaseOutcome
        Of each of them, and of files that could not be read as the scans they claim to be.
    """

    cases: tuple[NextCase, ...]
    labeled: int
    candidates: int
    outcomes: tuple[CaseOutcome, ...]

    def __repr__(self) -> str:
        return f"NextCases({len(self.cases)} of {counted(self.candidates, 'scan')}, {self.labeled} labeled)"

    @property
    def exit_code(self) -> int:
        """0 all was read, 3 some failed or was withheld, 4 nothing could be chosen."""
        if not self.cases:
            return 4
        return 3 if any(outcome.state != "done" for outcome in self.outcomes) else 0


@dataclass(frozen=True)
class _Looked:
    """What the model makes of a case, and what it looks like; `scan` is a hash of its voxels."""

    dice: float
    look: tuple[float, ...]
    scan: str


@check_arguments
def label_next(
    dataset: Path | str,
    model: str | Path,
    *,
    n: AtLeast1 = 20,
    scans: Sequence[Path | str] | Path | str = (),
    device: Device = "auto",
    anyway: bool = False,
    out: Path | str | None = None,
) -> NextCases:
    """Choose which scans to label next: those that a model is uncertain of, and that differ from what is labeled.

    Of the scans without a label, the ``3 n`` with the lowest expected Dice are taken. Of these, one by one, the one
    that differs most from all that is labeled or chosen already, by gray values, contrast and how much of it each class
    takes. Where nothing is labeled, the most uncertain one is the first.

    Parameters
    ----------
    dataset : path
        A dataset in any layout, of which the cases without a label are to choose from, those in ``imagesTs`` too; or a
        folder of scans, none of which has a label.
    model : str or Path
        A shipped or imported name, a package folder or zip, or ``models:/NAME@alias``.
    n : int
        How many to choose.
    scans : path or sequence of path
        Files and folders of more scans to choose from. Labeled cases among them are skipped, also as copies.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    anyway : bool
        Also choose from scans that are not what the model is for; otherwise they are withheld.
    out : path, optional
        CSV file for the chosen scans, which only its owner may read.

    Returns
    -------
    NextCases
        The chosen scans, the first to label first. A scan that fails or is withheld is an outcome, not an exception.

    Raises
    ------
    UsageError
        When there is no such model, or it has no probabilities of its own, or an option cannot be what was given.
    InputError
        When there is nothing to choose from, or the dataset cannot be read.
    ModelError
        When the model cannot be run here.
    """
    if out is not None:
        check_writable(Path(out), is_folder=False)
    segment = Segment(Segment.Options(model=str(model), device=device, probabilities=True))
    pool = find_pool(Path(dataset), [Path(place) for place in listed(scans)], segment)
    log.info("%s.", pool)
    known, candidates, outcomes = _look_at_all(pool, segment, anyway=anyway)
    chosen = _chosen(known, candidates, n)
    if out is not None:
        _write(chosen, Path(out))
    return NextCases(chosen, len(pool.labeled), len(pool.unlabeled), outcomes)


def _look_at_all(
    pool: Pool, segment: Segment, *, anyway: bool
) -> tuple[list[_Looked], list[tuple[PoolCase, _Looked]], tuple[CaseOutcome, ...]]:
    """Look at every case in a process of its own, so that one that ends it costs no other.

    Returns what is labeled, what can be chosen, and how each case ended.
    """
    known: dict[str, _Looked] = {}
    candidates: dict[str, tuple[PoolCase, _Looked]] = {}
    outcomes = [*pool.corrupt]
    function = partial(_look_at, segment.package.folder, segment.options.device, anyway)
    with case_progress(len(pool.labeled) + len(pool.unlabeled) + len(pool.corrupt)) as progress:
        for outcome in pool.corrupt:
            progress.end(outcome)
        segment.get_ready(lambda text: progress.announce(Preparing(text)))
        started = time.monotonic()
        cases = [*((case, True) for case in pool.labeled), *((case, False) for case in pool.unlabeled)]
        for (case, is_labeled), looked in each_isolated(function, cases):
            seconds = time.monotonic() - started
            if isinstance(looked, MedsegError):
                ended = explained(replace(case.outcome, seconds=seconds), looked)
            else:
                same = known.get(looked.scan) is not None or looked.scan in candidates
                note = ("It is the same scan as another one, and is not chosen.",) if same and not is_labeled else ()
                ended = replace(case.outcome, state="done", seconds=seconds, notes=note)
                if is_labeled:
                    known[looked.scan] = looked
                elif not same:
                    candidates[looked.scan] = (case, looked)
            outcomes.append(ended)
            progress.end(ended)
            started = time.monotonic()
    return list(known.values()), list(candidates.values()), tuple(outcomes)


@lru_cache(maxsize=1)
def _predictor(folder: Path, device: Device) -> AnyPredictor:
    return open_model(load_package(folder), InferOptions(device=device, probabilities=True))


def _look_at(folder: Path, device: Device, anyway: bool, item: tuple[PoolCase, bool]) -> _Looked:
    """Segment a case; a labeled one is looked at whatever the model says of it."""
    case, is_labeled = item
    predictor = _predictor(folder, device)
    card = predictor.package.card
    scan, _ = in_color(case.read(), card.input)
    if all(looks_like_labels(channel.astype(np.float32)) for channel in scan.array):
        raise InputError("its values are those of a label map", fix="Take it out of the folder of scans.")
    found = segment_scan(predictor, scan, anyway=anyway or is_labeled).probabilities
    assert found is not None
    regions = card.regions is not None
    described = look(scan.array, found, regions=regions)
    if not np.isfinite(described).all():
        raise InputError("voxels are NaN or infinite", fix="Write the scan anew without them.")
    return _Looked(expected_dice(found, regions=regions), tuple(described), voxel_hash(scan.array))


def _chosen(
    known: Sequence[_Looked], candidates: Sequence[tuple[PoolCase, _Looked]], count: int
) -> tuple[NextCase, ...]:
    """Choose among the candidates, and say why."""
    everything = [*known, *(looked for _, looked in candidates)]
    if not candidates:
        return ()
    dice, first = [looked.dice for looked in everything], len(known)
    place = {number: at for at, number in enumerate(most_uncertain(dice, first), start=1)}
    taken = choose_next(dice, [looked.look for looked in everything], first, count)
    chosen = []
    for rank, number in enumerate(taken, start=1):
        case, looked = candidates[number - first]
        reason = f"number {place[number]} of {len(candidates)} by uncertainty"
        if known or rank > 1:
            reason += ", and differs most from what is labeled or ranks before it"
        chosen.append(NextCase(rank, case.case_id, case.path, looked.dice, reason))
    return tuple(chosen)


def _write(chosen: Sequence[NextCase], file: Path) -> None:
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(["rank", "case_id", "path", "expected_dice", "reason"])
    writer.writerows((one.rank, one.case_id, str(one.path), f"{one.expected_dice:.4f}", one.reason) for one in chosen)
    write_private(file, stream.getvalue())
