"""The stage that records a batch as one MLflow run."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import Field

from medseg.engine.stages.options import StageOptions
from medseg.errors import MedsegError
from medseg.types.run import BatchResult
from medseg.types.stage import RunContext

log = logging.getLogger("medseg.run")


@dataclass(frozen=True)
class Track:
    """Records a run over many cases: what made the results, how many there are, how long they took.

    A run that found everything up to date is not recorded, because nothing happened. No case id or file name is sent.
    """

    class Options(StageOptions):
        """Whether the run is recorded."""

        enabled: bool = Field(default=True, description="record the run in MLflow")

    options: Options

    def run(self, item: BatchResult, context: RunContext) -> BatchResult:
        """Record, into ``OUT/mlflow.db`` or where ``MLFLOW_TRACKING_URI`` points."""
        if not self.options.enabled or item.count("done") == 0:
            return item
        from medseg.tracking.runs import record_finished

        counts = {f"cases_{state}": item.count(state) for state in ("done", "failed", "withheld", "pending")}
        counts["cases_up_to_date"] = item.count("current")
        seconds = sum(outcome.seconds for outcome in item.outcomes)
        try:
            record_finished(
                context.out,
                name=item.pipeline,
                parameters=dict(item.identity),
                tags={"medseg": "batch"},
                metrics={**counts, "seconds": seconds},
            )
        except MedsegError as error:
            # The results are there and whole; a server that does not answer must not turn them into a failure.
            log.warning("The run is not recorded in MLflow: %s", error)
        return item
