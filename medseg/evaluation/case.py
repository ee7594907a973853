"""Reads one case from its files and measures it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import FormatLimitation, GeometryMismatch, MedsegError, UsageError
from medseg.evaluation.files.classes import adopt, agree, class_values, named
from medseg.evaluation.files.combined import combine, joined
from medseg.evaluation.files.label_files import class_regions, find_labels, plain_name
from medseg.evaluation.files.object_ids import numbered_objects
from medseg.evaluation.files.pairing import CasePair
from medseg.evaluation.metrics.grid import axis_move, on_grid_of, turn
from medseg.evaluation.metrics.measure import ALL, CaseMeasures, measure_case, measure_instances
from medseg.evaluation.metrics.overlap import Confusion
from medseg.evaluation.options import EvaluateOptions
from medseg.isolation.boundary import attempt
from medseg.types import AnyLabels, Geometry, LabelClass, LabelMap, LabelTable, OverlappingLabels, Scan
from medseg.types.overlapping import moved

NOT_ANNOTATED = "not measured, as the reference does not annotate it: {}"
NO_CALIBRATION_OF_PART = "calibration and FROC are not measured, as the reference does not annotate every class"
NO_CALIBRATION = "calibration and FROC are not measured, as these need classes that exclude each other"


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """A reference and a prediction on one grid, with the same meaning of values.

    - `notes`: what was done to make them comparable.
    - `values_of`: where classes may overlap, the values of the maps that each class is part of, by its own value; then
      `named` says what each value of the maps stands for.
    """

    reference: LabelMap
    prediction: LabelMap
    table: LabelTable
    notes: tuple[str, ...] = ()
    values_of: Mapping[int, tuple[int, ...]] | None = None
    named: LabelTable | None = None

    def spread(self, values: Iterable[int]) -> tuple[int, ...]:
        """Values of the maps of voxels that have any of some classes."""
        if self.values_of is None:
            return tuple(values)
        return tuple(sorted({own for value in values for own in self.values_of.get(value, (value,))}))


@dataclass(frozen=True, eq=False)
class CaseResult:
    """One case, measured."""

    case_id: str
    measures: CaseMeasures
    table: LabelTable  # what the values of its confusion mean
    notes: tuple[str, ...] = ()
    numbered: tuple[int, ...] = ()  # values of the files that look like ids of objects
    present: frozenset[int] = frozenset()  # values of the classes that reference or prediction holds
    not_annotated: frozenset[str] = frozenset()  # classes and regions not measured, as the reference does not have them


def load_case(
    pair: CasePair, names: Mapping[int, str], *, instances: bool = False, certain: bool = False
) -> LoadedCase:
    """Read the two label maps of a case and bring them onto one grid, without resampling.

    `names` come from a dataset or the user; if `certain`, they say what values mean in both files, whatever these say
    themselves. `instances` are maps of object ids, which have no classes.
    """
    from medseg.evaluation.files.dicom_labels import read_pair

    prediction_file = (pair.prediction.instances or pair.prediction.path) if instances else pair.prediction.path
    prediction, reference = read_pair(prediction_file, pair.reference.path)
    prediction, notes = _on_grid_of(prediction, reference, pair.case_id)
    if instances:
        if isinstance(prediction, OverlappingLabels) or isinstance(reference, OverlappingLabels):
            raise FormatLimitation(
                "its classes overlap, and a map of object ids holds one for each voxel",
                where=pair.case_id,
                fix="Omit --objects instances.",
            )
        table = LabelTable((LabelClass(1, ALL, is_thing=True),))
        return LoadedCase(_with_table(reference, table), _with_table(prediction, table), table, tuple(notes))
    regions = class_regions(pair.reference.path) if isinstance(prediction, OverlappingLabels) else {}
    if regions and isinstance(reference, LabelMap) and not certain:
        reference, names = joined(reference, regions, prediction.table), {}
        notes.append(f"values of the reference joined into the regions of its dataset.json: {', '.join(regions)}")
    if certain:
        reference, prediction = named(reference, names), named(prediction, names)
    elif names:
        reference, first = adopt(reference, names, what="reference")
        prediction, second = adopt(prediction, names, what="prediction")
        notes += [note for note in (first, second) if note]
    prediction, table, note = agree(reference, prediction, where=pair.case_id)
    notes += [note] if note else []
    if isinstance(prediction, OverlappingLabels) or isinstance(reference, OverlappingLabels):
        found = combine(reference, prediction, table)
        return LoadedCase(found.reference, found.prediction, table, tuple(notes), found.values_of, found.table)
    return LoadedCase(_with_table(reference, table), _with_table(prediction, table), table, tuple(notes))


def _on_grid_of(prediction: AnyLabels, reference: AnyLabels, case_id: str) -> tuple[AnyLabels, list[str]]:
    """Return the prediction on the reference's grid, and what was done for it."""
    notes: list[str] = []
    grid = LabelMap(np.broadcast_to(np.uint8(0), reference.geometry.shape), reference.geometry, LabelTable(()))

    def turned(labels: LabelMap) -> LabelMap:
        placed, note = on_grid_of(labels, grid, where=case_id)
        notes.extend([note] if note else [])
        return placed

    return moved(prediction, turned), notes


def measure_files(
    pair: CasePair, names: Mapping[int, str], options: EvaluateOptions, probabilities: Path | None = None
) -> CaseResult:
    """Read and measure one case; `probabilities` is a file with one channel for each value 0, 1, ..."""
    instances = options.objects == "instances"
    skipped: frozenset[str] = frozenset()
    case = load_case(pair, names, instances=instances, certain=options.classes is not None)
    if instances:
        if probabilities is not None:
            raise UsageError("probabilities go with classes, not with ids of objects", fix="Remove --probabilities.")
        measures = measure_instances(case.reference, case.prediction, options)
    else:
        asked = class_values(case.table, options.classes, options.regions)
        unknown = pair.reference.not_annotated
        skipped = frozenset(name for name, values in asked.items() if unknown & {*values})
        if skipped:
            case = replace(case, notes=(*case.notes, NOT_ANNOTATED.format(", ".join(sorted(skipped)))))
        if unknown and probabilities is not None:
            probabilities = None
            case = replace(case, notes=(*case.notes, NO_CALIBRATION_OF_PART))
        classes = {name: values for name, values in asked.items() if name not in skipped}
        classes = {name: case.spread(values) for name, values in classes.items()}
        if case.values_of is not None and probabilities is not None:
            probabilities = None
            case = replace(case, notes=(*case.notes, NO_CALIBRATION))
        array = None if probabilities is None else _read_probabilities(probabilities, case.reference.geometry)
        measures = measure_case(case.reference, case.prediction, classes, options, array)
        if unknown:
            measures = replace(measures, confusion=_known(measures.confusion, case.spread(unknown)))
    # Whoever says what the values are has no need to be asked.
    sure = (
        instances
        or case.values_of is not None
        or options.classes is not None
        or options.regions
        or "objects" in options.model_fields_set
    )
    numbered = () if sure else numbered_objects(case.reference) or numbered_objects(case.prediction)
    table, present = case.named or case.table, _present(case, measures)
    return CaseResult(pair.case_id, measures, table, case.notes, numbered, present, skipped)


def _known(counts: Confusion, unknown: Iterable[int]) -> Confusion:
    """The histogram without voxels of background that the prediction gives to a class nobody marked there."""
    columns = [place for place, value in enumerate(counts.values) if value in {*unknown}]
    known = counts.counts.copy()
    known[0, columns] = 0
    return Confusion(counts.values, known)


def _present(case: LoadedCase, measures: CaseMeasures) -> frozenset[int]:
    """Values of the classes that either side holds."""
    held = set(measures.confusion.values)
    if case.values_of is None:
        return frozenset(held)
    return frozenset(value for value, values in case.values_of.items() if held & {*values})


def scan_on_grid(folder: Path, pair: CasePair, geometry: Geometry) -> Scan | None:
    """Read the scan of a case from a folder, on the reference's grid; None where there is none that fits."""
    from medseg.io.read import load_scan

    path = _named_like(folder, pair)
    if path is None:
        return None
    scan = attempt(load_scan, path)
    if isinstance(scan, MedsegError):
        return None
    move = axis_move(scan.geometry, geometry)
    return None if move is None else Scan(turn(scan.array, move), geometry, scan.modality, scan.source)


def find_probabilities(pair: CasePair, folder: Path | None) -> Path | None:
    """File of probabilities of a case: in the folder given, or beside the labels, where `medseg predict` leaves it."""
    if folder is not None:
        return _named_like(folder, pair)
    # "scores.nii.gz" is the name in result folders of older versions.
    beside = (pair.prediction.path.parent / name for name in ("probabilities.nii.gz", "scores.nii.gz"))
    return next((path for path in beside if path.is_file()), None)


def _named_like(folder: Path, pair: CasePair) -> Path | None:
    """First file of a folder with the name of the case."""
    wanted = {plain_name(name) for item in (pair.prediction, pair.reference) for name in (*item.names, pair.case_id)}
    named_so = [item for item in find_labels(folder) if wanted & {plain_name(name) for name in item.names}]
    return min((item.path for item in named_so), default=None)


def _read_probabilities(path: Path, geometry: Geometry) -> npt.NDArray[Any]:
    from medseg.io.read import load_scan

    scan = load_scan(path)
    move = axis_move(scan.geometry, geometry)
    if move is None:
        raise GeometryMismatch(
            "the probabilities are not on the reference's grid",
            where=path,
            fix="Save them on the grid of the labels, as `medseg predict --save probabilities` does.",
        )
    return turn(scan.array, move)


def _with_table(labels: AnyLabels, table: LabelTable) -> LabelMap:
    assert isinstance(labels, LabelMap)
    return LabelMap(labels.array, labels.geometry, table)
