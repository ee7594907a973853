"""Stages by name: medseg's own, and those other packages offer through the entry point group `medseg.stages`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from medseg.errors import PipelineError

__all__ = ["OWN_STAGES", "stage_class", "stage_names"]

OWN_STAGES: dict[str, str] = {
    "discover": "medseg.io.stages:Discover",
    "read": "medseg.io.stages:Read",
    "segment": "medseg.infer.stages:Segment",
    "clean-up": "medseg.post.cleanup:CleanUp",
    "components": "medseg.post.components:Components",
    "watershed": "medseg.post.watershed:Watershed",
    "border": "medseg.post.border:Border",
    "centre-offset": "medseg.post.centre_offset:CentreOffset",
    "panoptic": "medseg.post.panoptic:Panoptic",
    "merge-stuff": "medseg.post.panoptic:MergeStuff",
    "measure-objects": "medseg.post.measure:MeasureObjects",
    "save-objects": "medseg.io.instances:SaveObjects",
    "refine": "medseg.post.recipe:Refine",
    "measure": "medseg.evaluate.volumes:Measure",
    "check": "medseg.evaluate.quality:CheckQuality",
    "save": "medseg.io.stages:Save",
    "preview": "medseg.review.preview:PreviewPicture",
    "report": "medseg.review.batch_report:BatchReport",
    "track": "medseg.engine.track:Track",
}


def stage_names() -> list[str]:
    """Names of every stage this installation has."""
    return sorted({*OWN_STAGES, *(point.name for point in entry_points(group="medseg.stages"))})


def stage_class(name: str) -> Any:
    """Import the class of a stage.

    Raises
    ------
    PipelineError
        When no stage has that name, or its module cannot be imported.
    """
    if name in OWN_STAGES:
        module, _, attribute = OWN_STAGES[name].partition(":")
        return getattr(import_module(module), attribute)
    for point in entry_points(group="medseg.stages", name=name):
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise PipelineError(f"the stage '{name}' of {point.value} cannot be loaded ({error})") from error
    raise PipelineError(f"there is no stage called '{name}'", fix=f"Use one of: {', '.join(stage_names())}.")
