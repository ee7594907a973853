"""Records a run while it runs: log, table of epochs, report, and the curves in MLflow."""

from __future__ import annotations

import io
import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from medseg.errors import Interrupted
from medseg.harmless import TableWriter
from medseg.io.files.atomic import write_text
from medseg.io.files.csv_table import table_rows
from medseg.models.package import ModelPackage
from medseg.pace import as_clock
from medseg.tracking.runs import Tracker
from medseg.training.loop import EpochRecord, Loop
from medseg.training.run_artifacts import Course, keep_artifacts, parent_tags, public_config
from medseg.training.run_report import Measured, write_run_report
from medseg.training.samples.inputs import Inputs
from medseg.training.selection.held_out_patches import DICE, held_out_patches
from medseg.training.selection.validate import mean_dice, mean_pq
from medseg.versions import versions

log = logging.getLogger("medseg.train")

# Seconds between two reports of a run that is not finished.
REPORT_EVERY = 30.0


class History:
    """Rows of ``history.csv``, one an epoch; those beyond the step a run resumes from are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as stream:
                self.rows = [row for row in table_rows(stream) if int(row["step"]) <= step]

    def add(self, record: EpochRecord) -> None:
        """Add an epoch and write the table."""
        numbers = {name: f"{value:.6g}" for name, value in record.metrics.items()}
        self.rows.append({"epoch": str(record.epoch), "step": str(record.step), **numbers})
        text = io.StringIO()
        writer = TableWriter(text)
        names = list(self.rows[0])
        writer.writerow(names)
        writer.writerows([row[name] for name in names] for row in self.rows)
        write_text(self.path, text.getvalue())


class RunRecord:
    """Follows a run from its first epoch to its package.

    A context: leaving it by an error ends the tracker's run as failed, by a signal as one that can be resumed.
    """

    def __init__(self, inputs: Inputs, loop: Loop) -> None:
        self.inputs, self.loop = inputs, loop
        self.out = inputs.run.out
        self._reported = time.monotonic()
        self.history = History(self.out / "history.csv", loop.step)
        measures = not inputs.run.steps_only and inputs.run.config.interactive is None and not loop.finished
        self.held_out = held_out_patches(inputs) if measures else None
        self.tracker = _track(inputs, loop) if inputs.run.config.tracking else None

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.tracker is not None and kind is not None:
            self.tracker.end("KILLED" if issubclass(kind, Interrupted | KeyboardInterrupt) else "FAILED")

    def epoch(self, record: EpochRecord) -> None:
        """Take in an epoch, and measure it where there are held-out patches to do so with."""
        if self.held_out is not None:
            dice = self.held_out.dice(self.loop.stepper.averaged_scores)
            record = replace(record, metrics={**record.metrics, DICE: dice})
        self.history.add(record)
        _log(record, self.loop)
        if self.tracker is not None:
            self.tracker.log(record.metrics, record.epoch)
        if time.monotonic() - self._reported > REPORT_EVERY:
            write_run_report(self.inputs, self.history.rows, method=str(self.loop.stepper.method))
            self._reported = time.monotonic()

    def finish(self, package: ModelPackage, measured: Measured) -> None:
        """Take in the package and what was measured, if anything, and close the tracker's run."""
        method = str(self.loop.stepper.method)
        write_run_report(self.inputs, self.history.rows, method=method, measured=measured)
        log.info("The report of the run is %s.", self.out / "report.html")
        if self.tracker is None:
            return
        last = self.loop.step // self.loop.config.iterations_per_epoch
        for kind, results in (("dice", measured.results), ("test.dice", measured.test)):
            if results:
                by_class, overall = mean_dice(results)
                named = {f"{kind}.{name}": value for name, value in by_class.items()}
                quality = {f"{kind[:-4]}pq.{name}": value for name, value in mean_pq(results).items()}
                self.tracker.log({**named, f"{kind}.mean": overall, **quality}, last)
        keep_artifacts(self.tracker, self.inputs, package, measured, Course(self.history.rows, method))
        self.tracker.end()


def _track(inputs: Inputs, loop: Loop) -> Tracker:
    data, split = inputs.run.dataset, inputs.split
    tracker = Tracker(
        inputs.run.out,
        name=f"train {inputs.run.name}",
        parameters=public_config(inputs.run).as_parameters(),
        tags={
            "verb": "train",
            "dataset": data.name,
            "layout": data.layout,
            "split": split.name,
            "cases": str(len(split.train)),
            "device": str(loop.device),
            "step_method": str(loop.stepper.method),
            **parent_tags(inputs.run),
            **versions(),
        },
        run_id=loop.extra.get("run_id"),
    )
    loop.extra["run_id"] = tracker.run_id
    return tracker


def _log(record: EpochRecord, loop: Loop) -> None:
    done = loop.bounds.progress(record.step, loop.elapsed)
    left = loop.elapsed * (1 - done) / done if done > 0 else math.inf
    log.info(
        "Epoch %d: loss %.4f%s, %.2f steps/s, %.0f%% done, %s left",
        record.epoch,
        record.metrics["loss"],
        f", Dice in held-out patches {record.metrics[DICE]:.3f}" if DICE in record.metrics else "",
        record.metrics["steps_per_second"],
        100 * min(done, 1.0),
        "unknown time" if math.isinf(left) else as_clock(left),
    )
