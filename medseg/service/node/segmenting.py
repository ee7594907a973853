"""Does jobs: the objects of each series through the rule's model, in a process of its own that may crash alone."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from pathlib import Path

from medseg import resources
from medseg.config.load import merged, read_yaml
from medseg.config.safe_json import parse_json
from medseg.engine import journal
from medseg.engine.isolation import run_isolated
from medseg.engine.outcomes import Work, failure
from medseg.engine.pipeline import Pipeline, assemble, load_pipeline
from medseg.engine.run_files import add_seconds, remember_inputs, write_source_table
from medseg.errors import ConfigError, InputError, MedsegError, UsageError, first_line
from medseg.io.files.atomic import atomic_path
from medseg.io.files.lock import exclusive
from medseg.isolation.boundary import attempt
from medseg.isolation.process import Guard
from medseg.service.node import jobs
from medseg.service.node.config import NodeConfig
from medseg.service.node.incoming import file_of
from medseg.service.node.jobs import Job
from medseg.service.node.store import FOLDER_MODE, NodeStore
from medseg.service.node.way_out import for_owner
from medseg.service.outgoing import outgoing
from medseg.types.run import CaseOutcome, Inputs
from medseg.types.scan import Discovery, FoundScan
from medseg.types.stage import RunContext

log = logging.getLogger("medseg.serve")
PIPELINE = "batch-segmentation"
WORK, OUTBOX = "work", "outbox"
SEND_AGAIN = "Send the series again, then use `medseg serve retry`."


def rule_pipeline(model: str, formats: Sequence[str], where: str = "") -> Pipeline:
    """Assemble what `medseg predict` would run for a rule; `ConfigError` where its model cannot be run here."""
    values = merged(
        read_yaml(resources.find("configs", "predict")),
        {"segment": {"model": model}, "save": {"formats": list(formats)}, "track": {"enabled": False}},
    )
    if "dicom-seg-fractional" in formats:
        values["segment"]["probabilities"] = True
    pipeline = assemble(PIPELINE, load_pipeline(resources.find("pipelines", PIPELINE)), values)
    if len(pipeline.channels()) > 1:
        raise ConfigError(
            f"{model} takes several series of a case, and the node does one at a time",
            where=where,
            fix="Use `medseg predict` for it, or a model of one channel.",
        )
    return pipeline


class Segmenter:
    """Does the jobs of a node; results are in one folder, which may be reviewed meanwhile."""

    def __init__(self, config: NodeConfig, store: NodeStore) -> None:
        self.config, self.store = config, store
        self.waiting = False  # whether the last jobs failed for a reason that is not theirs
        self._digests: dict[str, str] = {}  # of the inputs of cases, by case id
        self._pipelines: dict[tuple[str, tuple[str, ...]], Pipeline] = {}
        shutil.rmtree(config.folder / WORK, ignore_errors=True)
        for folder in (config.results, config.folder / WORK, config.folder / OUTBOX):
            folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        remember_inputs(config.results, [config.incoming])

    def pipeline(self, model: str, formats: tuple[str, ...], where: str = "") -> Pipeline:
        """Return the pipeline of a rule, assembled once."""
        key = (model, formats)
        if key not in self._pipelines:
            self._pipelines[key] = rule_pipeline(model, formats, where)
        return self._pipelines[key]

    def do(self, taken: Sequence[Job]) -> None:
        """Do jobs of the same model and formats; whatever ends them early, those not ended wait again."""
        self.waiting = False
        try:
            with exclusive(self.config.results, "1-of-1"):
                try:
                    self._do(taken)
                except MedsegError as error:  # of no case: a model that is gone, a device that does not answer
                    self._pipelines.clear()  # whoever puts things right need not start the node again
                    for job in taken:
                        self._settle(job, [failure(_unknown(job), error.what, error.fix, error.code)])
        except UsageError as error:  # somebody else writes results there
            log.warning("%s", error)
            self.waiting = True
        except (OSError, sqlite3.Error) as error:  # a full disk, for instance: nobody's fault, and no try
            place = getattr(error, "filename", None) or self.config.folder
            log.error("The jobs could not be done (%s: %s); trying again.", place, first_line(error))
            self.waiting = True
        finally:
            jobs.give_back(self.store, taken)
            shutil.rmtree(self.config.folder / WORK, ignore_errors=True)

    def _do(self, taken: Sequence[Job]) -> None:
        pipeline = self.pipeline(taken[0].model, taken[0].formats)
        work = Work(pipeline, self.config.results.resolve())
        owner: dict[str, Job] = {}
        cases: list[FoundScan] = []
        for job in taken:
            for found in self._gather(pipeline, job):
                owner[found.case_id] = job
                cases.append(found)
        left = {job.id: sum(one is job for one in owner.values()) for job in taken}
        ended: dict[str, list[CaseOutcome]] = {job.id: [] for job in taken}
        with closing(run_isolated(work, cases, Guard(None, self.config.max_seconds))) as events:
            for event in events:
                if isinstance(event, FoundScan):
                    jobs.has_begun(self.store, owner[event.case_id])
                elif isinstance(event, CaseOutcome):
                    job = owner[event.case_id]
                    ended[job.id].append(event)
                    self._digests.pop(event.case_id, None)
                    if event.seconds > 0 and event.folder is not None and event.state != "current":
                        add_seconds(self.config.results, event.case_id, event.seconds)
                    self._say_way_out(event)
                    if len(ended[job.id]) == left[job.id]:
                        self._settle(job, ended[job.id])
        self._list_sources()

    def _say_way_out(self, outcome: CaseOutcome) -> None:
        """Let the record of a case, which review and reports show, say what the owner of a node can do."""
        fix = for_owner(outcome.fix or "")
        if outcome.folder is None or fix == (outcome.fix or ""):
            return
        with suppress(FileNotFoundError):
            journal.change_fix(outcome.folder, fix)

    def _gather(self, pipeline: Pipeline, job: Job) -> Sequence[FoundScan]:
        """Find the scans of a job among exactly the objects that are part of it; settle a job without any."""
        folder = self.config.folder / WORK / job.id
        folder.mkdir(parents=True, mode=FOLDER_MODE)
        rows = self.store.rows("select file, instance from objects where series=? and n<=?", job.series, job.upto)
        gone = sum(not (self.config.incoming / row["file"]).is_file() for row in rows)
        if gone:
            what = f"{gone} of its {len(rows)} files are gone from {self.config.incoming.name}/"
            self._settle(job, [failure(_unknown(job), what, SEND_AGAIN, InputError.code_of_kind())])
            return ()
        for row in rows:
            _link(self.config.incoming / row["file"], folder / file_of(row["instance"]))
        inputs = Inputs((folder,), series_criteria=pipeline.series_criteria(), channels=pipeline.channels())
        found = attempt(pipeline.gather.stage.run, inputs, RunContext(self.config.results.resolve()))
        if isinstance(found, MedsegError):
            self._settle(job, [failure(_unknown(job), found.what, found.fix, found.code)])
            return ()
        assert isinstance(found, Discovery)
        if found.found:
            return found.found
        corrupt = next((one for one in found.skipped if one.corrupt), None)
        if corrupt is not None:
            self._settle(job, [failure(_unknown(job, corrupt.case_id), corrupt.reason, corrupt.fix, corrupt.code)])
        else:
            self._withdraw(job, ())
            jobs.ignore(self.store, job, found.skipped[0].reason if found.skipped else "it holds no scan")
        return ()

    def _settle(self, job: Job, outcomes: Sequence[CaseOutcome]) -> None:
        sendable = [
            row for outcome in outcomes if outcome.written_state == "done" for row in self._sendable(job, outcome)
        ]
        kept = {one.case_id for one in outcomes if one.folder is not None}
        self._withdraw(job, kept)
        state = jobs.settle(self.store, self.config, job, outcomes, sendable)
        log.info("%s: %s", ", ".join(one.case_id or "a series" for one in outcomes), state)

    def _withdraw(self, job: Job, kept: Collection[str]) -> None:
        """Remove from the results what earlier jobs of the series made, but for the cases `kept`, which are new.

        Before the job ends: where the node is killed in between, the job is done again, and so is this.
        """
        for case_id in sorted(jobs.replaced_cases(self.store, job) - set(kept)):
            old = self.config.results / case_id
            if not old.is_dir():
                continue
            gone = self.config.folder / WORK / f"replaced-{job.id}-{case_id}"
            gone.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            shutil.rmtree(gone, ignore_errors=True)
            old.rename(gone)  # at once: no reader finds half of it
            self._digests.pop(case_id, None)
            log.info("%s: taken out of the results, because more of its series came", case_id)

    def _sendable(self, job: Job, outcome: CaseOutcome) -> list[dict[str, str]]:
        """Put the objects of a case that is done into the outbox, where nothing changes them until they are sent."""
        if outcome.folder is None or not job.send_to:
            return []
        names = [name for name in outcome.outputs if name.endswith(".dcm")]
        items, _ = outgoing([outcome.folder / name for name in names])
        for item in items:
            _link(item.path, self.config.folder / OUTBOX / file_of(item.instance))
        return [
            {
                "instance": str(item.instance),
                "sop_class": str(item.sop_class),
                "case_id": outcome.case_id,
                "file": file_of(item.instance),
            }
            for item in items
        ]

    def _list_sources(self) -> None:
        """Write the way back from results to series, readable by the owner only, for review and for people."""
        rows = self.store.rows(
            "select j.cases, j.state, s.uid, s.study, s.folder from jobs j join series s on s.uid=j.series "
            "where j.state in ('done', 'failed', 'withheld') order by j.n"
        )
        table = [
            (case_id, row["state"], row["uid"], row["study"], row["folder"], self._digest(case_id))
            for row in rows
            for case_id in parse_json(row["cases"])
        ]
        write_source_table(self.config.results, table)

    def _digest(self, case_id: str) -> str:
        """Hash of a case's input, read once from its record."""
        if case_id not in self._digests:
            self._digests[case_id] = journal.input_hash(self.config.results / case_id)
        return self._digests[case_id]


def _unknown(job: Job, case_id: str = "") -> CaseOutcome:
    """The outcome of a job of which no case is known."""
    return CaseOutcome(case_id or f"series-{job.id[:10]}", "pending", "DICOM series")


def _link(source: Path, target: Path) -> None:
    """Give a file that is never changed a second name; a copy, whole or none, where the file system has no links."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        with atomic_path(target) as part:
            shutil.copyfile(source, part)
