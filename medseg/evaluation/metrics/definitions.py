"""What each metric means, in a sentence that is printed beside the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "zero", "neither"]
Family = Literal["overlap", "surface", "volume", "object", "lesion", "calibration"]


@dataclass(frozen=True)
class Metric:
    """One measure."""

    title: str  # as a table heads it
    sentence: str
    family: Family
    better: Better  # which way is good: "zero" for signed differences, "neither" for plain counts and sizes
    unit: str = ""  # empty for pure numbers


# T stands for what follows the @ in a name.
METRICS: dict[str, Metric] = {
    "dice": Metric("Dice", "2 TP / (2 TP + FP + FN) over voxels.", "overlap", "higher"),
    "iou": Metric("IoU", "TP / (TP + FP + FN) over voxels (Jaccard).", "overlap", "higher"),
    "precision": Metric(
        "Precision", "TP / (TP + FP) over voxels; NaN where the prediction is empty.", "overlap", "higher"
    ),
    "recall": Metric("Recall", "TP / (TP + FN) over voxels; NaN where the reference is empty.", "overlap", "higher"),
    "volume_ml": Metric("Volume", "Volume of the prediction.", "volume", "neither", "ml"),
    "reference_volume_ml": Metric("Reference volume", "Volume of the reference.", "volume", "neither", "ml"),
    "volume_difference_ml": Metric("Volume difference", "Prediction minus reference.", "volume", "zero", "ml"),
    "relative_volume_difference": Metric(
        "Relative volume difference", "(Prediction - reference) / reference.", "volume", "zero"
    ),
    "hd": Metric(
        "HD",
        "Hausdorff distance: the larger of the two directed maxima between border voxels.",
        "surface",
        "lower",
        "mm",
    ),
    "hd95": Metric(
        "HD95",
        "The larger of the two directed 95th percentiles (linear interpolation) between border voxels.",
        "surface",
        "lower",
        "mm",
    ),
    "assd": Metric(
        "ASSD",
        "Average symmetric surface distance: mean over the border voxels of both surfaces taken together.",
        "surface",
        "lower",
        "mm",
    ),
    "masd": Metric("MASD", "Mean average surface distance: mean of the two directed means.", "surface", "lower", "mm"),
    "nsd": Metric(
        "NSD",
        "Normalized surface distance: fraction of both surfaces' border voxels within T of the other.",
        "surface",
        "higher",
    ),
    "boundary_iou": Metric(
        "Boundary IoU", "IoU of the bands of voxels within a width of each mask's border.", "surface", "higher"
    ),
    "cldice": Metric(
        "clDice",
        "Harmonic mean of the fractions of each mask's skeleton that lie in the other mask.",
        "overlap",
        "higher",
    ),
    "pq": Metric(
        "PQ",
        "Panoptic quality: sum of IoU over matches / (TP + FP/2 + FN/2), matches at IoU >= 0.5.",
        "object",
        "higher",
    ),
    "sq": Metric("SQ", "Segmentation quality: mean IoU of the matches; NaN without one.", "object", "higher"),
    "rq": Metric("RQ", "Recognition quality: TP / (TP + FP/2 + FN/2), matches at IoU >= 0.5.", "object", "higher"),
    "f1": Metric("F1", "TP / (TP + FP/2 + FN/2) over objects, matches at IoU >= T.", "object", "higher"),
    "ap": Metric(
        "AP",
        "TP / (TP + FP + FN) over objects, matches at IoU >= T; over a range, the mean in steps of 0.05.",
        "object",
        "higher",
    ),
    "objects_reference": Metric("Reference objects", "Objects in the reference.", "object", "neither"),
    "objects_prediction": Metric("Predicted objects", "Objects in the prediction.", "object", "neither"),
    "objects_matched": Metric("Matched objects", "Pairs of objects at IoU >= 0.5.", "object", "neither"),
    "v_rand": Metric(
        "V_rand",
        "Rand F-measure of two partitions: fraction of the pairs of voxels that both put together, among those that "
        "either does, the two weighed alike; of voxels in the reference's objects.",
        "object",
        "higher",
    ),
    "v_info": Metric(
        "V_info",
        "Information-theoretic F-measure of two partitions: twice their mutual information / the sum of their "
        "entropies; of voxels in the reference's objects.",
        "object",
        "higher",
    ),
    "lesion_dice": Metric(
        "Lesion-wise Dice",
        "Mean Dice over lesions by the rule of the BraTS challenges that the options name.",
        "lesion",
        "higher",
    ),
    "lesion_tp": Metric(
        "Lesions found", "Lesions that a predicted component touches or is paired with.", "lesion", "neither"
    ),
    "lesion_fp": Metric("False lesions", "Predicted components that belong to no lesion.", "lesion", "lower"),
    "lesion_fn": Metric(
        "Lesions missed", "Lesions that no predicted component touches or is paired with.", "lesion", "lower"
    ),
    "ece": Metric(
        "ECE",
        "Expected calibration error of the highest probability, 15 equal bins, all voxels.",
        "calibration",
        "lower",
    ),
    "ece_foreground": Metric(
        "ECE foreground",
        "The same over voxels that the reference or the probabilities call foreground.",
        "calibration",
        "lower",
    ),
}


def metric(name: str) -> Metric:
    """Return what a metric is, by its name with or without ``@T``; KeyError for a name that is none."""
    base, _, threshold = name.partition("@")
    known = METRICS[base]
    if not threshold:
        return known
    sentence = known.sentence.replace(" T", f" {threshold.replace('mm', ' mm')}", 1)
    return Metric(f"{known.title} @ {threshold.replace('mm', ' mm')}", sentence, known.family, known.better, known.unit)


def definitions_of(names: list[str]) -> dict[str, str]:
    """Sentence of each metric, by name."""
    return {name: metric(name).sentence for name in names}
