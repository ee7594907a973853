"""Records runs with MLflow; the only file that knows it.

Runs go to ``OUT/mlflow.db`` unless ``MLFLOW_TRACKING_URI`` names a place. What is sent are settings, counts and curves:
no case id, no path below the dataset, no user name.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medseg.errors import InputError
from medseg.tracking.local_runs import FinishedRun, insert, keep_empty_copy

__all__ = ["OpenRun", "Registry", "Tracker", "record_finished"]

log = logging.getLogger("medseg.train")

EXPERIMENT = "medseg"
# MLflow's own limits.
LONGEST_VALUE = 6000
PARAMETERS_A_CALL = 100
METRICS_A_CALL = 1000


def record_finished(
    workspace: Path, *, name: str, parameters: Mapping[str, str], tags: Mapping[str, str], metrics: Mapping[str, float]
) -> None:
    """Record a run that is over, in as little time as that can be done.

    Parameters
    ----------
    workspace, name, parameters, tags
        As of `Tracker`.
    metrics : mapping of str to float
        One number each.

    Raises
    ------
    InputError
        When the tracking server cannot be reached.
    """
    database = workspace.resolve() / "mlflow.db"
    own = not os.environ.get("MLFLOW_TRACKING_URI")
    run = FinishedRun(EXPERIMENT, name, {k: str(v)[:LONGEST_VALUE] for k, v in parameters.items()}, tags, metrics)
    if own and insert(database, workspace.resolve() / "mlartifacts", run):
        return
    new = own and not database.exists()
    tracker = Tracker(workspace, name=name, parameters=parameters, tags=tags)
    tracker.log(metrics, step=0)
    tracker.end()
    if new:
        keep_empty_copy(database)


class _Run:
    """What can be done with a run that is there."""

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
        listed = [Metric(key, float(value), now, step) for key, value in metrics.items()]
        try:
            for first in range(0, len(listed), METRICS_A_CALL):
                self._client.log_batch(self.run_id, metrics=listed[first : first + METRICS_A_CALL])
        except MlflowException as error:
            log.warning("MLflow did not take the numbers of step %d: %s", step, _first_line(error))

    def keep(self, file: Path, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_artifact(self.run_id, str(file), folder)
        except (MlflowException, OSError) as error:
            log.warning("MLflow did not take %s: %s", file.name, _first_line(error))


class OpenRun(_Run):
    """A run that others have begun and will end, to which figures are added."""

    @classmethod
    def find(cls, run_id: str | None, places: Sequence[Path]) -> OpenRun | None:
        """Find the run that is meant.

        That is the run of this id; without an id the one this process has open (``mlflow.start_run()``), or the one
        ``MLFLOW_RUN_ID`` names. None where there is neither.

        Parameters
        ----------
        run_id : str, optional
            As MLflow shows it.
        places : sequence of Path
            Folders whose ``mlflow.db`` is searched where ``MLFLOW_TRACKING_URI`` names no place.

        Raises
        ------
        InputError
            When a run is named and there is none of this id.
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
        _silence()
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        said = "no mlflow.db there"
        for uri in stores:
            try:
                client = MlflowClient(tracking_uri=uri)
                client.get_run(run_id)
                return cls(client, run_id)
            except MlflowException as error:
                said = _first_line(error)
        raise InputError(
            f"MLflow does not know the run {run_id} ({said})",
            where=", ".join(stores) or None,
            fix="Set MLFLOW_TRACKING_URI to where the run is, such as sqlite:///runs/liver/mlflow.db.",
        )

    def describe(self, tags: Mapping[str, str]) -> None:
        """Add tags, which unlike parameters may be said again."""
        from mlflow.entities import RunTag
        from mlflow.exceptions import MlflowException

        try:
            listed = [RunTag(key, value[:LONGEST_VALUE]) for key, value in tags.items()]
            self._client.log_batch(self.run_id, tags=listed)
        except MlflowException as error:
            log.warning("MLflow did not take the tags: %s", _first_line(error))


class Tracker(_Run):
    """One MLflow run, made anew or gone on with.

    Parameters
    ----------
    workspace : Path
        Where the database and artifacts lie unless ``MLFLOW_TRACKING_URI`` names another place.
    run_id : str, optional
        Of a run to go on with.
    name : str
        What the run is called; must name no patient.
    parameters, tags : mapping of str
        Recorded once, for a new run.

    Raises
    ------
    InputError
        When the tracking server cannot be reached.
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
        _silence()
        from mlflow.entities import Param, RunStatus, RunTag
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        workspace = workspace.resolve()
        workspace.mkdir(parents=True, exist_ok=True)
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(workspace / 'mlflow.db').as_posix()}"
        try:
            super().__init__(MlflowClient(tracking_uri=self.uri), run_id or "")
            if run_id is not None and self._known(run_id):
                self._client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
                return
            run = self._client.create_run(self._experiment(workspace), run_name=name)
            self.run_id = str(run.info.run_id)
            listed = [Param(key, str(value)[:LONGEST_VALUE]) for key, value in parameters.items()]
            for first in range(0, len(listed), PARAMETERS_A_CALL):
                self._client.log_batch(self.run_id, params=listed[first : first + PARAMETERS_A_CALL])
            self._client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in (tags or {}).items()])
        except MlflowException as error:
            raise InputError(
                f"MLflow cannot record the run ({_first_line(error)})",
                where=self.uri,
                fix="Correct MLFLOW_TRACKING_URI, or train with --set tracking=false.",
            ) from error

    def end(self, status: str = "FINISHED") -> None:
        """Close the run: ``FINISHED``, ``FAILED`` or ``KILLED``, the last for one that can be gone on with."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_terminated(self.run_id, status)
        except MlflowException as error:
            log.warning("MLflow did not close the run: %s", _first_line(error))

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
            log.warning("MLflow no longer knows run %s; a new one is begun", run_id)
            return False
        return True


def _stores(places: Sequence[Path]) -> list[str]:
    """Where a run may be: where the environment says, or in the databases medseg itself keeps."""
    said = os.environ.get("MLFLOW_TRACKING_URI")
    if said:
        return [said]
    found = dict.fromkeys((place / "mlflow.db").resolve() for place in places if (place / "mlflow.db").is_file())
    return [f"sqlite:///{path.as_posix()}" for path in found]


class Registry:
    """MLflow's model registry.

    Parameters
    ----------
    workspace : Path
        Where database and artifacts lie unless ``MLFLOW_TRACKING_URI`` names another place.

    Raises
    ------
    InputError
        When the server cannot be reached, or does not know what it is asked for.
    """

    def __init__(self, workspace: Path) -> None:
        _silence()
        from mlflow.tracking import MlflowClient

        workspace = workspace.resolve()
        workspace.mkdir(parents=True, exist_ok=True)
        self._workspace = workspace
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(workspace / 'mlflow.db').as_posix()}"
        self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def register(
        self, package: Path, name: str, *, code: Path, alias: str, description: str, tags: Mapping[str, str]
    ) -> str:
        """Add a version of a model, give it the alias, and return its number.

        The model is logged from code: MLflow keeps the file `code` and the package folder, and nothing is pickled.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import save_model

        tracker = Tracker(self._workspace, name=f"register {name}", parameters={}, tags=dict(tags))
        try:
            with tempfile.TemporaryDirectory() as folder:
                saved = Path(folder) / "model"
                # What goes in are paths and what comes out are arrays; MLflow has no words for that.
                warnings.filterwarnings("ignore", ".*Add type hints to the `predict` method", UserWarning)
                save_model(
                    str(saved),
                    python_model=str(code),
                    artifacts={"package": str(package)},
                    pip_requirements=["medseg"],
                )
                self._client.log_artifacts(tracker.run_id, str(saved), "model")
            if not self._client.search_registered_models(f"name='{name}'"):
                self._client.create_registered_model(name)
            source = f"{self._client.get_run(tracker.run_id).info.artifact_uri}/model"
            version = self._client.create_model_version(
                name, source, tracker.run_id, tags=dict(tags), description=description
            )
            self._client.set_registered_model_alias(name, alias, version.version)
        except MlflowException as error:
            tracker.end("FAILED")
            raise InputError(f"MLflow did not register the model ({_first_line(error)})", where=self.uri) from error
        tracker.end()
        return str(version.version)

    def find(self, name: str, *, alias: str | None = None, version: str | None = None) -> tuple[str, str]:
        """Version and source of the model with an alias or a version number."""
        from mlflow.exceptions import MlflowException

        try:
            if alias is not None:
                found = self._client.get_model_version_by_alias(name, alias)
            else:
                found = self._client.get_model_version(name, str(version))
        except MlflowException as error:
            raise InputError(
                f"MLflow has no such model ({_first_line(error)})",
                where=self.uri,
                fix="Register it with medseg models register, or set MLFLOW_TRACKING_URI to where it is.",
            ) from error
        return str(found.version), str(found.source)

    def fetch(self, source: str, folder: Path) -> None:
        """Copy what a version is made of into a folder."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=self.uri)
        except (MlflowException, OSError) as error:
            raise InputError(f"MLflow did not give the model ({_first_line(error)})", where=source) from error


def _silence() -> None:
    """Keep MLflow from calling home and from writing a line for each migration of its database."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
