"""Stretches of a volume, one above the other, that are of several acquisitions by their headers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from pydicom.valuerep import DA

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.geometry import SAME_PLACE, heights
from medseg.io.dicom.shared_values import by_value, name_of
from medseg.io.dicom.volume import Volume
from medseg.io.dicom.wanted import MAKERS

# What every image of a patient shares, wherever it lies. No message repeats what it says.
OF_THE_PATIENT = ("PatientName", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize", "PatientWeight")
# What should not change from one stretch of a volume to the next. Numbers of acquisitions and times do, which count
# slabs and beds; a date may where midnight passes.
OF_AN_ACQUISITION: tuple[str | tuple[int, int], ...] = (
    "StudyDate", "SeriesDate", "AcquisitionDate", "AccessionNumber", "Modality", "Units", "SeriesNumber",
    "SeriesDescription", "ProtocolName", "Manufacturer", "DeviceSerialNumber", "StationName", "MagneticFieldStrength",
    "BodyPartExamined", "Laterality", "PatientPosition", "ContrastBolusAgent", "EchoTime", "FlipAngle",
    "RepetitionTime", "ScanningSequence", "SequenceName", "SequenceVariant", "AcquisitionContrast", "ImageType",
    "ComplexImageComponent", "DiffusionDirectionality", "TemporalPositionIdentifier", "TemporalPositionIndex",
    "EchoNumbers", "CorrectedImage", "PhotometricInterpretation",
    *(tag for tag, what in MAKERS.items() if what in ("b-value of the maker", "kind of image of the maker")),
)  # fmt: skip
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate")
# More parts are no stretches: something that differs from slice to slice, or counts them.
MOST = 4
ABOVE = "{} differs ({} images): the parts lie one above the other and were read as one volume"
WHOSE = "{} differs ({} images): they may be of several patients"
AGAIN = "Instance numbers begin again ({} images): the parts lie one above the other and were read as one volume"
FEWEST = 3  # images of a part that is numbered by itself


def with_warnings(volume: Volume) -> Volume:
    """Warn of what differs between the stretches of a volume, and of what may be several patients."""
    frames = volume.frames
    if len(frames) < 2 or volume.refusal is not None:
        return volume
    warnings = [
        WHOSE.format(keyword, _counts(parts))
        for keyword in OF_THE_PATIENT
        if len(parts := {value: part for value, part in by_value(frames, keyword).items() if value}) > 1
    ]
    if frames[0].is_placed:
        along = heights(frames).tolist()
        for attribute in OF_AN_ACQUISITION:
            parts = by_value(frames, attribute)
            if 1 < len(parts) <= MOST and _is_above(parts, along) and not _is_midnight(attribute, parts):
                warnings.append(ABOVE.format(name_of(attribute), _counts(parts)))
        if runs := _numbered_again(frames, along):
            warnings.append(AGAIN.format(", ".join(map(str, runs))))
    return replace(volume, warnings=(*volume.warnings, *warnings))


def overlap(stretches: Sequence[Sequence[float]]) -> bool:
    """Whether any two groups of slices lie between each other's, rather than one above the other."""
    ends = sorted((min(stretch), max(stretch)) for stretch in stretches)
    return any(low <= high + SAME_PLACE for (_, high), (low, _) in itertools.pairwise(ends))


def _is_above(parts: Mapping[str, Sequence[int]], along: Sequence[float]) -> bool:
    return not overlap([[along[i] for i in part] for part in parts.values()])


def _numbered_again(frames: Sequence[Frame], along: Sequence[float]) -> list[int]:
    """Numbers of images of parts, one above the other, that each count their own; none where one count runs through."""
    numbers = [frames[i].instance_number for i in sorted(range(len(frames)), key=along.__getitem__)]
    if None in numbers or len(set(numbers)) == len(numbers) or frames[0].index is not None:
        return []
    runs: list[list[int]] = [[]]
    for number in numbers:
        assert number is not None
        if runs[-1] and abs(number - runs[-1][-1]) != 1:
            runs.append([])
        runs[-1].append(number)
    counted_up = all(sorted(run) == list(range(min(run), min(run) + len(run))) for run in runs)
    fits = 1 < len(runs) <= MOST and min(map(len, runs)) >= FEWEST
    return [len(run) for run in runs] if counted_up and fits else []


def _is_midnight(attribute: object, parts: Mapping[str, Sequence[int]]) -> bool:
    """Whether two dates are those of one night."""
    if attribute not in DATES or len(parts) != 2:
        return False
    try:
        first, second = (date.fromisoformat(str(DA(value).isoformat())) for value in parts)
    except (AttributeError, TypeError, ValueError):
        return False
    return attribute != "StudyDate" and abs((second - first).days) <= 1


def _counts(parts: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(str(len(part)) for part in parts.values())
