"""Splits acquisitions whose slices lie between each other's: together they look like one volume of finer slices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from medseg.errors import InputError
from medseg.io.dicom.frame import Frame
from medseg.io.dicom.geometry import heights, lay_out
from medseg.io.dicom.shared_values import by_value, name_of
from medseg.io.dicom.stretches import overlap
from medseg.io.dicom.told_apart import is_time, told_apart
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
MAYBE = "{} differs ({} images) from slice to slice between each other's: two acquisitions may be mixed"
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
        if not overlap([[along[i] for i in group] for group in groups.values()]):
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
    if found := _first_apart(frames, [(name_of(a), by_value(frames, a).values()) for a in SHARED_BY_AN_ACQUISITION]):
        return _split(volume, *found, warnings)
    stacks = told_apart(frames) if len(frames) >= 2 * FEWEST else {}
    times = {name for name in stacks if is_time(name) and frames[0].header.get("Modality") == "MR"}
    if found := _first_apart(frames, [(name, stacks[name]) for name in stacks if name not in times]):
        return _split(volume, *found, warnings)
    if found := _first_apart(frames, [(name, stacks[name]) for name in times]):
        warnings.append(MAYBE.format(found[0], ", ".join(str(len(part)) for part in found[1])))
    return [replace(volume, warnings=(*volume.warnings, *warnings))]


def _split(volume: Volume, name: str, parts: Sequence[Sequence[Frame]], warnings: Sequence[str]) -> list[Volume]:
    return [
        whole
        for number, part in enumerate(parts, start=1)
        for whole in without_interleaved(
            replace(
                volume,
                frames=tuple(part),
                distinguished_by=(*volume.distinguished_by, f"{name} {number}"),
                warnings=(*volume.warnings, *warnings),
            )
        )
    ]


def _first_apart(
    frames: Sequence[Frame], stacks: Sequence[tuple[str, Collection[Sequence[int]]]]
) -> tuple[str, list[list[Frame]]] | None:
    """First element whose values tell even stacks that lie between each other, by its name; and these stacks."""
    along = heights(frames).tolist()
    for name, groups in stacks:
        if len(groups) > 1 and min(map(len, groups)) >= FEWEST and overlap([[along[i] for i in g] for g in groups]):
            parts = [[frames[i] for i in group] for group in groups]
            if all(is_even(part) for part in parts):
                return name, parts
    return None


def _counts(keyword: str, groups: dict[Any, list[int]]) -> str:
    """Such as ``KVP differs (80: 9, 140: 9)``."""
    return (
        f"{keyword} differs ("
        + ", ".join(f"{attribute_text(v)}: {len(g)}" for v, g in sorted(groups.items(), key=str))
        + ")"
    )


def is_even(frames: Sequence[Frame]) -> bool:
    """Whether frames make a grid as they are."""
    try:
        lay_out(frames)
    except InputError:
        return False
    return True
