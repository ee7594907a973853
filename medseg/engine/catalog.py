"""What an installation has by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from medseg import resources
from medseg.config.load import build, read_yaml
from medseg.engine.pipeline import PipelineFile, load_pipeline
from medseg.engine.registry import stage_class, stage_names
from medseg.errors import UsageError, did_you_mean
from medseg.io.files.atomic import write_bytes
from medseg.models.package import load_package

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def catalog() -> dict[str, dict[str, str]]:
    """Names and one-line descriptions of models, pipelines, configurations and stages."""
    return {
        "models": {name: load_package(folder).card.title for name, folder in resources.models().items()},
        "pipelines": {name: load_pipeline(path).description for name, path in resources.shipped("pipelines").items()},
        "configurations": {name: _first_comment(path) for name, path in resources.shipped("configs").items()},
        "stages": {name: _summary(name) for name in stage_names()},
    }


def copy_shipped(name: str, destination: Path) -> Path:
    """Copy a shipped configuration or pipeline, comments included, to a new file, or into a folder under its name."""
    known = {**resources.shipped("pipelines"), **resources.shipped("configs")}
    if name not in known:
        raise UsageError(
            f"there is no configuration or pipeline called '{name}'",
            fix=f"{did_you_mean(name, known)} Use one of: {', '.join(known)}.",
        )
    target = destination / f"{name}.yaml" if destination.is_dir() else destination
    if target.exists():
        raise UsageError("the file exists", where=target, fix="Choose another name, or delete it first.")
    write_bytes(target, known[name].read_bytes())
    return target


def schema(name: str) -> dict[str, Any]:
    """JSON Schema of a configuration, for editors and checks: ``train``, ``evaluate``, ``predict`` or any pipeline.

    Raises `UsageError` when there is none of that name.
    """
    if name == "train":
        from medseg.training.config import TrainConfig

        config: type[BaseModel] = TrainConfig
    elif name == "evaluate":
        from medseg.evaluation.options import EvaluateOptions

        config = EvaluateOptions
    else:
        known = ["predict", "train", "evaluate", *resources.shipped("pipelines")]
        if name not in known and not Path(name).is_file():
            raise UsageError(
                f"there is no schema called '{name}'",
                fix=f"{did_you_mean(name, known)} Use one of: {', '.join(known)}; or the path of a pipeline file.",
            )
        return _pipeline_schema("batch-segmentation" if name == "predict" else name)
    return {"$schema": DIALECT, **config.model_json_schema(), "title": f"medseg {name}"}


def _pipeline_schema(pipeline: str) -> dict[str, Any]:
    """One property a step."""
    file = build(PipelineFile, read_yaml(resources.find("pipelines", pipeline)), where=pipeline)
    steps = [file.gather, *file.each, *file.finish]
    return {
        "$schema": DIALECT,
        "title": f"medseg configuration of {pipeline}",
        "type": "object",
        "additionalProperties": False,
        "properties": {step.name: stage_class(step.stage).Options.model_json_schema() for step in steps},
    }


def _first_comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _summary(name: str) -> str:
    return (stage_class(name).__doc__ or "").strip().partition("\n")[0]
