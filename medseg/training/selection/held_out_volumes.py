"""Volumes and objects of held-out cases, as `predict` makes them: for the card's intervals and panoptic quality."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_objects
from medseg.evaluation.metrics.detection import count_overlaps, detection_measures
from medseg.harmless import TableWriter, name_from_cell
from medseg.io.files.atomic import write_text
from medseg.io.files.csv_table import table_rows
from medseg.models.card import ModelCard
from medseg.models.volume_interval_card import VolumeIntervalCard
from medseg.post.cleanup import Rule, clean_up
from medseg.post.from_border import objects_from_border
from medseg.post.intervals import interval_rule
from medseg.post.object_classes import labels_of_objects
from medseg.types import AnyLabels, Instances, LabelMap, Scan
from medseg.types.overlapping import class_counts

# Steps of a card that make objects and leave the class of every voxel as it is.
LEAVE_LABELS = {"components", "watershed", "panoptic"}
# Beside a run's other tables.
VOLUMES_FILE = "validation_volumes.csv"
COLUMNS = ("case_id", "class", "reference_volume_ml", "volume_ml")
RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])
Volumes = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Refined:
    """What a card's steps make of labels; `instances` where one of them puts interiors and borders together."""

    labels: AnyLabels
    instances: Instances | None = None


def class_volumes(
    refined: Refined | None, reference: LabelMap, card: ModelCard, data: Dataset, case: DatasetCase
) -> Volumes:
    """Return the reference's and the measured volume in ml of each class that results have, by its name on the card.

    Without classes that the reference does not annotate; nothing where part of it is to be ignored, where regions are
    folded into one map, and where a step of the card is none that medseg makes.
    """
    folded = card.regions is not None and not card.overlapping
    if folded or (data.ignore_label is not None and (reference.array == data.ignore_label).any()):
        return {}
    if refined is None:
        return {}
    ml, found = reference.geometry.voxel_volume / 1000, class_counts(refined.labels)
    return {
        entry.name: (
            float(np.isin(reference.array, data.reference_values(entry.value)).sum() * ml),
            float(found[entry.value] * ml),
        )
        for entry in card.result_classes
        if case.annotates(data.table.name_of(entry.value))
    }


def refine(labels: AnyLabels, card: ModelCard) -> Refined | None:
    """Do what the card's steps do to labels; None where one is not known."""
    instances = None
    for step in card.post:
        if step.stage == "clean-up":
            labels = clean_up(labels, RULES.validate_python(step.options.get("rules", ())))
        elif step.stage == "border":
            assert isinstance(labels, LabelMap)  # the card of overlapping classes refuses the step
            instances = objects_from_border(labels, **step.options)
            labels = labels_of_objects(labels, instances)
        elif step.stage not in LEAVE_LABELS:
            return None
    return Refined(labels, instances)


def panoptic_quality(
    refined: Refined | None, data: Dataset, case: DatasetCase, scan: Scan, card: ModelCard
) -> dict[str, float]:
    """Return the PQ of the class whose objects the references number, by its name on the card.

    Nothing where they number none, where the card's steps make none, and where part of the reference is to be ignored.
    """
    made = None if refined is None else refined.instances
    if made is None or data.references != "instances" or data.ignore_label is not None:
        return {}
    quality = detection_measures(count_overlaps(read_objects(data, case, scan), made.ids), ())["pq"]
    return {card.table.name_of(made.table.classes[0].value): quality}


def volume_interval_card(cases: Sequence[Volumes], measured: str) -> VolumeIntervalCard | None:
    """Make the card's intervals; None where no volume was measured.

    - `cases`: as `class_volumes` gives them, of cases that the weights were not trained on.
    """
    names = dict.fromkeys(name for case in cases for name in case)
    if not names:
        return None
    rule = interval_rule({name: [case[name] for case in cases if name in case] for name in names})
    return VolumeIntervalCard.from_rule(rule, measured)


def write_volumes(path: Path, cases: Mapping[str, Volumes]) -> None:
    """Write one row for each case and class: case_id, class, reference_volume_ml, volume_ml."""
    text = io.StringIO()
    writer = TableWriter(text)
    writer.writerow(COLUMNS)
    for case_id, volumes in cases.items():
        writer.writerows([case_id, name, *(f"{ml:.6g}" for ml in pair)] for name, pair in volumes.items())
    write_text(path, text.getvalue())


def read_volumes(path: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Read what `write_volumes` wrote; nothing where there is no such file, as of a run by an earlier version."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as stream:
            for row in table_rows(stream):
                pair = (float(row["reference_volume_ml"]), float(row["volume_ml"]))
                found.setdefault(row["case_id"], {})[name_from_cell(row["class"])] = pair
    return found
