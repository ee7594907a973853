"""Splits acquisitions whose slices lie between each other's: together they look like one volume of finer slices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydicom.tag import Tag

from medseg.errors import InputError
from medseg.io.dicom.frame import DISTINGUISHING, Frame
from medseg.io.dicom.geometry import SAME_PLACE, heights, lay_out
from medseg.io.dicom.volume import Refusal, Volume, attribute_text
from medseg.io.dicom.wanted import MAKERS

# What was acquired or reconstructed otherwise is another image of the patient.
ANOTHER_IMAGE = ("ConvolutionKernel", "KVP", "ContrastBolusAgent", "DiffusionBValue", "InversionTime", "RescaleType")
# What should not differ within an acquisition, and at times does so by the whim of a scanner's software. Times are not
# among them: slices of one acquisition are often acquired every second first, and then those between.
STEADY = (
    *ANOTHER_IMAGE, "SeriesNumber", "AcquisitionNumber", "ImageType", "ComplexImageComponent",
    "EchoTime", "FlipAngle", "DiffusionGradientOrientation", "SliceThickness", "object",
)  # fmt: skip
# What all images of an acquisition share, or what distinguishes it from another, where a scanner may write it as it
# likes: two even stacks of it that lie between each other are two acquisitions, and all else means nothing. What some
# of these say may be the patient's, so that no message repeats it.
SHARED_BY_AN_ACQUISITION: tuple[str | tuple[int, int], ...] = (
    "PatientName", "PatientBirthDate", "StudyDate", "AccessionNumber", "Modality", "SeriesDate", "SeriesTime",
    "SeriesDescription", "ProtocolName", "Manufacturer", "DeviceSerialNumber", "StationName", "MagneticFieldStrength",
    "BodyPartExamined", "Laterality", "PatientPosition", "RepetitionTime", "ScanningSequence", "SequenceName",
    "SequenceVariant", "ScanOptions", "ReceiveCoilName", "AcquisitionContrast", "DiffusionDirectionality",
    "FilterType", "ReconstructionDiameter", "DataCollectionDiameter", "ReconstructionMethod",
    "AttenuationCorrectionMethod", "CorrectedImage", "Units", "PhotometricInterpretation", "ContrastBolusStartTime",
    "IrradiationEventUID", "AcquisitionUID", "AcquisitionDate", "DerivationDescription", "ImageComments",
    "SpacingBetweenSlices", "NominalPercentageOfCardiacPhase", "TriggerTime", "FrameReferenceTime", "StackID",
    *(tag for tag, what in MAKERS.items() if what in ("b-value of the maker", "kind of image of the maker")),
)  # fmt: skip
FEWEST = 3  # slices of an acquisition that is distinguished by such an attribute alone
APART = "Get the series again with each acquisition as a series of its own."


def without_interleaved(volume: Volume) -> list[Volume]:
    """Split a volume, with one image at each place, where an attribute distinguishes acquisitions that interleave.

    Acquisitions are split where each of them makes an even stack by itself. Where they do not, a volume that mixes
    kernels, tube voltages and the like is refused; of any other attribute there is a warning. An attribute that differs
    between stretches one above the other, as it does where it counts slabs, splits nothing.
    """
    frames = volume.frames
    if len(frames) < 3 or not frames[0].is_placed:
        return [volume]
    along = heights(frames).tolist()
    warnings: list[str] = []
    for keyword in STEADY:
        groups: dict[Any, list[int]] = {}
        for number, frame in enumerate(frames):
            groups.setdefault(frame.attributes.get(keyword), []).append(number)
        if len(groups) == 1:
            continue
        text = _counts(keyword, groups)
        if not _overlap([[along[i] for i in group] for group in groups.values()]):
            if keyword in ANOTHER_IMAGE and None not in groups:
                warnings.append(f"{text}: the parts lie one above the other and were read as one volume")
            continue
        parts = [[frames[i] for i in group] for group in groups.values()]
        if all(len(part) > 1 and is_even(part) for part in parts):
            return [
                whole
                for value, part in zip(groups, parts, strict=True)
                for whole in without_interleaved(
                    replace(
                        volume,
                        frames=tuple(part),
                        distinguished_by=(*volume.distinguished_by, f"{keyword} {attribute_text(value)}"),
                    )
                )
            ]
        if keyword in ANOTHER_IMAGE and None not in groups:
            return [
                replace(
                    volume,
                    refusal=Refusal(f"its slices are of several acquisitions in between each other: {text}", APART),
                )
            ]
        warnings.append(f"{text}: the slices lie between each other and were read as one volume")
    for attribute in SHARED_BY_AN_ACQUISITION:
        stacks = _stacks(frames, attribute)
        if len(stacks) > 1 and _overlap([[along[i] for i in stack] for stack in stacks]):
            parts = [[frames[i] for i in stack] for stack in stacks]
            if all(is_even(part) for part in parts):
                return [
                    whole
                    for number, part in enumerate(parts, start=1)
                    for whole in without_interleaved(
                        replace(
                            volume,
                            frames=tuple(part),
                            distinguished_by=(*volume.distinguished_by, f"{_name(attribute)} {number}"),
                            warnings=(*volume.warnings, *warnings),
                        )
                    )
                ]
    return [replace(volume, warnings=(*volume.warnings, *warnings))]


def _stacks(frames: Sequence[Frame], attribute: str | tuple[int, int]) -> list[list[int]]:
    """Numbers of the frames that share what an attribute says, in the order of these values; none where too few do."""
    tag = Tag(attribute)
    elements = [frame.header.get_item(tag) for frame in frames]
    # Values that are alike in many files are one object, which makes this quick where nothing differs.
    if attribute not in DISTINGUISHING and all(element is elements[0] for element in elements):
        return []
    groups: dict[str, list[int]] = {}
    for number, (frame, element) in enumerate(zip(frames, elements, strict=True)):
        value = frame.attributes.get(str(attribute), getattr(element, "value", None))
        groups.setdefault(str(value or ""), []).append(number)
    stacks = [group for _, group in sorted(groups.items())]
    return stacks if all(len(stack) >= FEWEST for stack in stacks) else []


def _name(attribute: str | tuple[int, int]) -> str:
    return attribute if isinstance(attribute, str) else MAKERS[attribute]


def _counts(keyword: str, groups: dict[Any, list[int]]) -> str:
    """Such as ``KVP differs (80: 9, 140: 9)``."""
    return (
        f"{keyword} differs ("
        + ", ".join(f"{attribute_text(v)}: {len(g)}" for v, g in sorted(groups.items(), key=str))
        + ")"
    )


def _overlap(stretches: Sequence[Sequence[float]]) -> bool:
    """Whether any two groups of slices lie between each other's, rather than one above the other."""
    ends = sorted((min(stretch), max(stretch)) for stretch in stretches)
    return any(low <= high + SAME_PLACE for (_, high), (low, _) in itertools.pairwise(ends))


def is_even(frames: Sequence[Frame]) -> bool:
    """Whether frames make a grid as they are."""
    try:
        lay_out(frames)
    except InputError:
        return False
    return True
