"""Stages by name: medseg's own, and those other packages offer through the entry point group `medseg.stages`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from medseg.errors import PipelineError, did_you_mean

OWN_STAGES: dict[str, str] = {
    "discover": "medseg.engine.stages.reading:Discover",
    "read": "medseg.engine.stages.reading:Read",
    "segment": "medseg.engine.stages.segment:Segment",
    "clean-up": "medseg.engine.stages.objects:CleanUp",
    "components": "medseg.engine.stages.objects:Components",
    "watershed": "medseg.engine.stages.objects:Watershed",
    "border": "medseg.engine.stages.objects:Border",
    "panoptic": "medseg.engine.stages.objects:Panoptic",
    "merge-stuff": "medseg.engine.stages.objects:MergeStuff",
    "measure-objects": "medseg.engine.stages.objects:MeasureObjects",
    "save-objects": "medseg.engine.stages.saving:SaveObjects",
    "refine": "medseg.engine.stages.refine:Refine",
    "measure": "medseg.engine.stages.checks:Measure",
    "measure-values": "medseg.engine.stages.checks:MeasureValues",
    "check": "medseg.engine.stages.checks:CheckQuality",
    "save": "medseg.engine.stages.saving:Save",
    "preview": "medseg.engine.stages.drawing:Preview",
    "radiomics": "medseg.engine.stages.radiomics:Radiomics",
    "report": "medseg.engine.stages.drawing:BatchReport",
    "track": "medseg.engine.stages.track:Track",
}


def stage_names() -> list[str]:
    """Names of every stage this installation has."""
    return sorted({*OWN_STAGES, *(point.name for point in entry_points(group="medseg.stages"))})


def stage_class(name: str) -> Any:
    """Import the class of a stage; raises `PipelineError` where there is none, or its module cannot be imported."""
    if name in OWN_STAGES:
        module, _, attribute = OWN_STAGES[name].partition(":")
        return getattr(import_module(module), attribute)
    for point in entry_points(group="medseg.stages", name=name):
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise PipelineError(
                f"the stage '{name}' of {point.value} cannot be loaded ({error})",
                fix="Install the package it comes from again, or uninstall it.",
            ) from error
    known = stage_names()
    fix = f"{did_you_mean(name, known)} Use one of: {', '.join(known)}."
    raise PipelineError(f"there is no stage called '{name}'", fix=fix)
