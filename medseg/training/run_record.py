"""What a run tells of itself while it runs: log, table, report, and the tracker's curves."""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from medseg.errors import Interrupted
from medseg.models.package import ModelPackage
from medseg.tracking.runs import Tracker
from medseg.training.config import TrainConfig
from medseg.training.history import History
from medseg.training.loop import EpochRecord, Loop
from medseg.training.run_report import write_run_report
from medseg.training.samples.inputs import Material
from medseg.training.selection.validate import CaseDice, mean_dice
from medseg.training.selection.worst_cases import WorstCases
from medseg.versions import versions

__all__ = ["RunRecord"]

log = logging.getLogger("medseg.train")

# Seconds after which the report of a run that goes on is written anew.
REPORT_EVERY = 30.0


class RunRecord:
    """Follows a run from its first epoch to its package.

    A context: leaving it by an error ends the tracker's run as failed, by a signal as one that can be gone on with.

    Parameters
    ----------
    material, config
        Of the run.
    out : Path
        Its folder.
    loop : Loop
        What is followed; the tracker's run id is kept with its checkpoints.
    """

    def __init__(self, material: Material, config: TrainConfig, out: Path, loop: Loop) -> None:
        self.material, self.config, self.out, self.loop = material, config, out, loop
        self._reported = time.monotonic()
        self.history = History(out / "history.csv", loop.step)
        self.tracker = _track(material, config, out, loop) if config.tracking else None

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.tracker is not None and kind is not None:
            self.tracker.end("KILLED" if issubclass(kind, Interrupted | KeyboardInterrupt) else "FAILED")

    def epoch(self, record: EpochRecord) -> None:
        """Take in an epoch."""
        self.history.add(record)
        _say(record, self.loop)
        if self.tracker is not None:
            self.tracker.log(record.metrics, record.epoch)
        if time.monotonic() - self._reported > REPORT_EVERY:
            write_run_report(self.out / "report.html", self.material, self.config, self.history.rows)
            self._reported = time.monotonic()

    def finish(self, package: ModelPackage, results: Sequence[CaseDice], worst: WorstCases) -> None:
        """Take in the package and what was measured, if anything, and close the tracker's run."""
        write_run_report(
            self.out / "report.html",
            self.material,
            self.config,
            self.history.rows,
            card=package.card,
            results=results,
            worst=worst,
        )
        log.info("look at %s", self.out / "report.html")
        if self.tracker is None:
            return
        if results:
            by_class, overall = mean_dice(results)
            named = {f"dice.{_metric_name(name)}": value for name, value in by_class.items()}
            last = self.loop.step // self.loop.config.iterations_per_epoch
            self.tracker.log({**named, "dice.mean": overall}, last)
        # By their rank: a case's name may be a file's, and a file's a patient's.
        with tempfile.TemporaryDirectory() as folder:
            for rank, (_, _, picture) in enumerate(worst.pictures, start=1):
                file = Path(folder) / f"worst-{rank}.png"
                file.write_bytes(picture)
                self.tracker.keep(file, "validation")
        self.tracker.keep(self.out / "config.yaml")
        self.tracker.keep(package.folder / "model.yaml", "model")
        self.tracker.end()


def _track(material: Material, config: TrainConfig, out: Path, loop: Loop) -> Tracker:
    data, split = material.data, material.split
    tracker = Tracker(
        out,
        name=f"train {config.name}",
        parameters=config.as_parameters(),
        tags={
            "verb": "train",
            "dataset": data.name,
            "layout": data.layout,
            "split": split.name,
            "cases": str(len(split.train)),
            "device": str(loop.device),
            **versions(),
        },
        run_id=loop.extra.get("run_id"),
    )
    loop.extra["run_id"] = tracker.run_id
    return tracker


def _say(record: EpochRecord, loop: Loop) -> None:
    done = loop.bounds.progress(record.step, loop.elapsed)
    left = loop.elapsed * (1 - done) / done if done > 0 else math.inf
    log.info(
        "epoch %d: loss %.4f, %.2f steps/s, %.0f%% done, %s left",
        record.epoch,
        record.metrics["loss"],
        record.metrics["steps_per_second"],
        100 * min(done, 1.0),
        _clock(left),
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits, underscores, dashes, periods, spaces and slashes."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)
