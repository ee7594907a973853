"""The stage that records a batch as one MLflow run."""

from __future__ import annotations

import logging

from pydantic import BaseModel, ConfigDict, Field

from medseg.errors import MedsegError
from medseg.types.run import BatchResult
from medseg.types.stage import RunContext

__all__ = ["Track"]

log = logging.getLogger("medseg.run")


class Track:
    """Records a run over many cases: what made the results, how many there are, how long they took.

    A run that found everything up to date is not recorded, because nothing happened. No case id or file name is sent.
    """

    class Options(BaseModel):
        """Whether to record."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        enabled: bool = Field(default=True, description="record the run in MLflow")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: BatchResult, context: RunContext) -> BatchResult:
        """Record, into ``OUT/mlflow.db`` or where ``MLFLOW_TRACKING_URI`` points."""
        if not self.options.enabled or item.count("done") == 0:
            return item
        from medseg.tracking.runs import record_finished

        counts = {f"cases_{state}": item.count(state) for state in ("done", "current", "failed", "pending")}
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
            log.warning("the run is not recorded: %s", error)
        return item
