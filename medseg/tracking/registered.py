"""MLflow's registry: model packages under ``models:/NAME@alias`` or ``models:/NAME/VERSION``."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from medseg.errors import InputError, ModelError, UsageError, did_you_mean, first_line
from medseg.io.files.atomic import kept_once
from medseg.io.files.temporary import temporary_folder
from medseg.models.package import ModelPackage
from medseg.resources import store_folder
from medseg.tracking.client import silence, tracking_uri
from medseg.tracking.runs import Tracker

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
CARD_FILE = "model.yaml"
REACH = "Check MLFLOW_TRACKING_URI, and that its server or database can be reached and written."
# How MLflow says that there is no such model or version, and no such alias.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def registered(address: str) -> Path:
    """Folder of the package that an address names, fetched once for each version."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise UsageError(
            f"'{address}' is not the address of a registered model",
            fix="Write models:/NAME@champion or models:/NAME/3.",
        )
    registry = Registry(registry_folder())
    version, source = registry.find(match["name"], alias=match["alias"], version=match["version"])
    mark = hashlib.sha256(f"{registry.uri}\n{match['name']}\n{version}\n{source}".encode()).hexdigest()[:32]
    target = kept_once(store_folder().parent / "registered" / mark, lambda part: registry.fetch(source, part))
    cards = sorted(target.rglob(CARD_FILE))
    if len(cards) != 1:
        raise ModelError(
            f"the registered model holds {len(cards)} model packages, not one",
            where=address,
            fix="Register it with medseg models register.",
        )
    return cards[0].parent


def registry_folder() -> Path:
    """Where the registry lies unless ``MLFLOW_TRACKING_URI`` says: beside this user's models."""
    return store_folder().parent


class Registry:
    """MLflow's model registry; `UsageError` for a name it does not know, `InputError` where it cannot be reached."""

    def __init__(self, workspace: Path) -> None:
        silence()
        from mlflow.tracking import MlflowClient

        self._workspace = workspace
        self.uri = tracking_uri(workspace)
        self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def register(self, package: ModelPackage, name: str, *, alias: str, code: Path, tags: Mapping[str, str]) -> str:
        """Add a version of a model, give it the alias, and return its number.

        The model is logged from code: MLflow keeps the file `code` and the package folder, and nothing is pickled. It
        becomes an artifact of the run that trained it, or where that is not known here of a run of its own.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import save_model

        trained = package.card.training.run
        own = None
        if trained is None or not self._knows(trained):
            own = Tracker(self._workspace, name=f"register {name}", parameters={}, tags=dict(tags))
        run_id = trained if own is None else own.run_id
        # A run's own artifacts have a folder `model` already.
        place = "model" if own is not None else f"registered/{package.hash[:12]}"
        try:
            with temporary_folder() as folder:
                saved = Path(folder) / "model"
                # What goes in are paths and what comes out are arrays; MLflow, which would say so to the user, has no
                # words for that, and undoes filters.
                with warnings.catch_warnings(record=True):
                    save_model(
                        str(saved),
                        python_model=str(code),
                        artifacts={"package": str(package.folder)},
                        pip_requirements=["medseg"],
                    )
                self._client.log_artifacts(run_id, str(saved), place)
            if not self._client.search_registered_models(f"name='{name}'"):
                self._client.create_registered_model(name)
            source = f"{self._client.get_run(run_id).info.artifact_uri}/{place}"
            version = self._client.create_model_version(
                name, source, run_id, tags=dict(tags), description=package.card.title
            )
            self._client.set_registered_model_alias(name, alias, version.version)
        except MlflowException as error:
            if own is not None:
                own.end("FAILED")
            raise InputError(
                f"MLflow could not register the model ({first_line(error)})", where=self.uri, fix=REACH
            ) from error
        if own is not None:
            own.end()
        return str(version.version)

    def _knows(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise InputError(
                    f"MLflow could not be asked ({first_line(error)})", where=self.uri, fix=REACH
                ) from error
            return False
        return True

    def find(self, name: str, *, alias: str | None = None, version: str | None = None) -> tuple[str, str]:
        """Version and source of the model with an alias or a version number."""
        from mlflow.exceptions import MlflowException

        try:
            if alias is not None:
                found = self._client.get_model_version_by_alias(name, alias)
            else:
                found = self._client.get_model_version(name, str(version))
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise InputError(
                    f"MLflow could not be asked ({first_line(error)})", where=self.uri, fix=REACH
                ) from error
            known = [model.name for model in self._client.search_registered_models()]
            near = "" if name in known else did_you_mean(name, known)
            raise UsageError(
                f"MLflow at {self.uri} has no such model ({first_line(error)})",
                where=f"models:/{name}{f'/{version}' if alias is None else f'@{alias}'}",
                fix=f"{near} Register it with medseg models register, or set MLFLOW_TRACKING_URI to where it is.",
            ) from error
        return str(found.version), str(found.source)

    def fetch(self, source: str, folder: Path) -> None:
        """Copy what a version is made of into a folder."""
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=self.uri)
        except (MlflowException, OSError) as error:
            raise InputError(
                f"MLflow could not download the model ({first_line(error)})",
                where=source,
                fix="Check that this machine may read the artifacts there, and that its disk is not full.",
            ) from error
