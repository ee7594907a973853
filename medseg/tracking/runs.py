"""Records runs with MLflow: settings, counts and curves; no case id, no path below the dataset, no user name."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medseg.errors import InputError, UsageError, first_line
from medseg.tracking.client import silence, tracking_uri
from medseg.tracking.local_runs import FinishedRun, insert
from medseg.tracking.names import with_valid_names

log = logging.getLogger("medseg.train")

EXPERIMENT = "medseg"
# MLflow's own limits.
LONGEST_VALUE = 6000
PARAMETERS_A_CALL = 100
METRICS_A_CALL = 1000


def record_finished(
    workspace: Path, *, name: str, parameters: Mapping[str, str], tags: Mapping[str, str], metrics: Mapping[str, float]
) -> None:
    """Record a finished run, in as little time as that can be done; otherwise as `Tracker`."""
    database = workspace.resolve() / "mlflow.db"
    own = not os.environ.get("MLFLOW_TRACKING_URI")
    texts = {key: str(value)[:LONGEST_VALUE] for key, value in with_valid_names(parameters).items()}
    run = FinishedRun(EXPERIMENT, name, texts, tags, with_valid_names(metrics))
    if own and insert(database, workspace.resolve() / "mlartifacts", run):
        return
    tracker = Tracker(workspace, name=name, parameters=parameters, tags=tags)
    tracker.log(metrics, step=0)
    tracker.end()


class _Run:
    """A run that MLflow knows."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Record numbers of one step or epoch in one call.

        A server that does not answer costs a curve's point and a warning, not the training.
        """
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        now = int(time.time() * 1000)
        listed = [Metric(key, float(value), now, step) for key, value in with_valid_names(metrics).items()]
        try:
            for first in range(0, len(listed), METRICS_A_CALL):
                self._client.log_batch(self.run_id, metrics=listed[first : first + METRICS_A_CALL])
        except MlflowException as error:
            log.warning("MLflow did not record the metrics of step %d: %s", step, first_line(error))

    def keep(self, file: Path, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_artifact(self.run_id, str(file), folder)
        except (MlflowException, OSError) as error:
            log.warning("MLflow did not keep the file %s: %s", file.name, first_line(error))

    def keep_folder(self, folder: Path) -> None:
        """Copy all that a folder holds to the run's artifacts, under the same names."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_artifacts(self.run_id, str(folder))
        except (MlflowException, OSError) as error:
            log.warning("MLflow did not keep what the run made: %s", first_line(error))


class OpenRun(_Run):
    """A run that others have started and will end, to which figures are added."""

    @classmethod
    def find(cls, run_id: str | None, places: Sequence[Path]) -> OpenRun | None:
        """Find the run of this id; without one the run this process has open, or that ``MLFLOW_RUN_ID`` names, or None.

        `places` are folders whose ``mlflow.db`` is searched where ``MLFLOW_TRACKING_URI`` names no place.
        """
        opened = sys.modules.get("mlflow") if run_id is None else None
        active = opened.active_run() if opened is not None else None
        if opened is not None and active is not None:
            from mlflow.tracking import MlflowClient

            return cls(MlflowClient(tracking_uri=opened.get_tracking_uri()), str(active.info.run_id))
        run_id = run_id or os.environ.get("MLFLOW_RUN_ID")
        if run_id is None:
            return None
        return cls._in_one_of(run_id, _stores(places))

    @classmethod
    def _in_one_of(cls, run_id: str, stores: Sequence[str]) -> OpenRun:
        silence()
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from sqlalchemy.exc import SQLAlchemyError

        reason = "there is no mlflow.db"
        for uri in stores:
            try:
                client = MlflowClient(tracking_uri=uri)
                client.get_run(run_id)
                return cls(client, run_id)
            except (MlflowException, SQLAlchemyError) as error:
                reason = first_line(error)
        raise UsageError(
            f"MLflow does not know the run {run_id} ({reason})",
            where=", ".join(stores) or None,
            fix="Set MLFLOW_TRACKING_URI to where the run is, such as sqlite:///runs/liver/mlflow.db.",
        )

    def describe(self, tags: Mapping[str, str]) -> None:
        """Add tags, which unlike parameters may be changed."""
        from mlflow.entities import RunTag
        from mlflow.exceptions import MlflowException

        try:
            listed = [RunTag(key, value[:LONGEST_VALUE]) for key, value in tags.items()]
            self._client.log_batch(self.run_id, tags=listed)
        except MlflowException as error:
            log.warning("MLflow did not record the tags: %s", first_line(error))


class Tracker(_Run):
    """One MLflow run, new or, with `run_id`, resumed.

    Its name must name no patient. Parameters and tags are recorded once, for a new run.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        name: str,
        parameters: Mapping[str, Any],
        tags: Mapping[str, str] | None = None,
        run_id: str | None = None,
    ) -> None:
        silence()
        from mlflow.entities import Param, RunStatus, RunTag
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from sqlalchemy.exc import SQLAlchemyError

        self.uri = tracking_uri(workspace)
        try:
            super().__init__(MlflowClient(tracking_uri=self.uri), run_id or "")
            if run_id is not None and self._known(run_id):
                self._client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
                return
            run = self._client.create_run(self._experiment(workspace.resolve()), run_name=name)
            self.run_id = str(run.info.run_id)
            named = with_valid_names(parameters)
            listed = [Param(key, str(value)[:LONGEST_VALUE]) for key, value in named.items()]
            for first in range(0, len(listed), PARAMETERS_A_CALL):
                self._client.log_batch(self.run_id, params=listed[first : first + PARAMETERS_A_CALL])
            self._client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in (tags or {}).items()])
        except (MlflowException, SQLAlchemyError) as error:
            raise InputError(
                f"MLflow cannot record the run ({first_line(error)})",
                where=self.uri,
                fix="Correct MLFLOW_TRACKING_URI, or train with --set tracking=false.",
            ) from error

    def end(self, status: str = "FINISHED") -> None:
        """Close the run: ``FINISHED``, ``FAILED`` or ``KILLED``, the last for one that can be resumed."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_terminated(self.run_id, status)
        except MlflowException as error:
            log.warning("MLflow did not close the run: %s", first_line(error))

    def _experiment(self, workspace: Path) -> str:
        known = self._client.get_experiment_by_name(EXPERIMENT)
        if known is not None:
            return str(known.experiment_id)
        # A server chooses where artifacts go; a database of one's own would put them under the current folder.
        own = None if os.environ.get("MLFLOW_TRACKING_URI") else (workspace / "mlartifacts").as_uri()
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=own))

    def _known(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_run(run_id)
        except MlflowException:
            log.warning("MLflow no longer knows the run %s, so a new one is started.", run_id)
            return False
        return True


def _stores(places: Sequence[Path]) -> list[str]:
    """Where a run may be: where the environment says, or in the databases medseg itself keeps."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri:
        return [uri]
    found = dict.fromkeys((place / "mlflow.db").resolve() for place in places if (place / "mlflow.db").is_file())
    return [f"sqlite:///{path.as_posix()}" for path in found]
