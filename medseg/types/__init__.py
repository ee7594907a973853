"""What travels between the packages: frozen dataclasses that do no input or output.

Array axis order is nibabel's and MONAI's, (X, Y, Z) with channels first; world is RAS+ in mm.
"""

from medseg.types.geometry import Geometry
from medseg.types.instances import InstanceRow, Instances
from medseg.types.labels import Code, LabelClass, LabelMap, LabelTable, ModelIdentity
from medseg.types.overlapping import AnyLabels, OverlappingLabels
from medseg.types.prediction import PostStep, Prediction
from medseg.types.report import MeasurementRow, Report
from medseg.types.scan import Case, Discovery, FoundScan, Scan, Skipped, Source

__all__ = [
    "AnyLabels",
    "Case",
    "Code",
    "Discovery",
    "FoundScan",
    "Geometry",
    "InstanceRow",
    "Instances",
    "LabelClass",
    "LabelMap",
    "LabelTable",
    "MeasurementRow",
    "ModelIdentity",
    "OverlappingLabels",
    "PostStep",
    "Prediction",
    "Report",
    "Scan",
    "Skipped",
    "Source",
]
