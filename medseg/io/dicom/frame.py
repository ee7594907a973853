"""One image plane of a DICOM series: a single-frame file, or one frame of a multi-frame one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from medseg.errors import InputError, MedsegError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.frame_groups import differing
from medseg.io.dicom.header import REMEMBERED, Header, lenient

# No patient is a kilometer long.
ABSURD = 1e6
# No slope or intercept is larger, and no slope smaller: values would be infinite, or all of them zero, as float32.
LARGEST, SMALLEST = 1e20, 1e-20
# How far direction cosines may be from length 1; scanners round them.
COSINE_SLACK = 1e-2
# Cosines within this are one direction: 0.03 mm at the rim of a 300 mm field of view.
SAME_COSINE = 2e-4
# What distinguishes volumes that lie at the same positions under one series UID, from the plainest to the last resort.
DISTINGUISHING = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "EchoNumbers", "ComplexImageComponent", "EchoTime",
    "DiffusionBValue", "DiffusionGradientOrientation", "NominalPercentageOfCardiacPhase", "TriggerTime",
    "InversionTime", "FlipAngle", "ConvolutionKernel", "KVP", "ContrastBolusAgent", "RescaleType", "FrameReferenceTime",
    "SeriesNumber", "SliceThickness", "AcquisitionNumber", "StackID", "ImageType", "AcquisitionTime",
    "AcquisitionDateTime", "SeriesTime", "ContentTime",
)  # fmt: skip

# What functional groups of enhanced objects call some of these.
ENHANCED = {
    "EchoTime": "EffectiveEchoTime",
    "InversionTime": "InversionTimes",
    "AcquisitionNumber": "FrameAcquisitionNumber",
    "AcquisitionDateTime": "FrameAcquisitionDateTime",
    "ContrastBolusAgent": "ContrastBolusAgentAdministered",
    "TriggerTime": "NominalCardiacTriggerDelayTime",
}
# What PET needs of the functional groups; objects converted from single images have it there.
OF_PET = (
    "Units", "SUVType", "DecayCorrection", "CorrectedImage", "PatientWeight", "RadiopharmaceuticalInformationSequence",
    "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime", "DecayCorrected", "AttenuationCorrected",
    "DecayCorrectionDateTime",
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """What is known of one image plane before its pixels are read."""

    file: Path
    index: int | None  # within a multi-frame file, from 0; None for a single-frame file
    header: Dataset  # shared between the frames of a file
    pixels_at: int | None  # where in the file its pixel data starts
    rows: int
    columns: int
    position: tuple[float, float, float] | None  # center of its first pixel, mm, LPS+ as in DICOM
    orientation: tuple[float, ...] | None  # directions along its rows and down its columns, LPS+
    pixel_spacing: tuple[float, float] | None  # mm between rows, then between columns
    stated_step: float  # mm to the next slice, and how thick it is, as the header says; 0 where it does not
    thickness: float
    stack_place: tuple[str, int] | None  # which stack of an enhanced object it is in, and where in it
    slope: float  # with `intercept`, turns stored values into real ones; 1 and 0 where the header says nothing
    intercept: float
    is_scaled: bool  # whether the header gives either
    is_scaled_in_full: bool  # whether it gives both
    groups: Mapping[str, str]  # of a multi-frame file, what its functional groups say otherwise of other frames
    attributes: Mapping[str, Any]  # the `DISTINGUISHING` attributes it has, and its indices in private dimensions

    @cached_property
    def is_placed(self) -> bool:
        """Whether the header says where it lies, in numbers that can be."""
        if self.position is None or self.orientation is None or self.pixel_spacing is None:
            return False
        lengths = np.linalg.norm(np.reshape(self.orientation, (2, 3)), axis=1)
        numbers = np.array([*self.position, *self.orientation, *self.pixel_spacing])
        return bool(
            np.isfinite(numbers).all()
            and np.abs(numbers).max() < ABSURD
            and min(self.pixel_spacing) > 0
            and np.abs(lengths - 1).max() < COSINE_SLACK
        )

    @property
    def slice_step(self) -> float | None:
        """Mm to the next slice as the header states it: between slices, else the thickness."""
        return self.stated_step or self.thickness or None

    @property
    def instance_number(self) -> int | None:
        """The number the scanner gave it."""
        if self.index is not None:
            return self.index + 1
        number = self.header.get("InstanceNumber")
        return None if number is None or number == "" else int(number)

    @property
    def sop_uid(self) -> str:
        """The UID of the object it belongs to."""
        return str(self.header.get("SOPInstanceUID", ""))

    @property
    def image_type(self) -> tuple[str, ...]:
        """Such as ``("ORIGINAL", "PRIMARY", "AXIAL")``."""
        value = self.attributes.get("ImageType", ())
        return tuple(str(v).strip().upper() for v in value)


@lru_cache(maxsize=REMEMBERED)
def frames_of(header: Header) -> tuple[Frame, ...]:
    """List the image planes of one file."""
    elements = header.elements
    with lenient():
        try:
            if int(elements.get("NumberOfFrames") or 1) > 1 or "PerFrameFunctionalGroupsSequence" in elements:
                return _multi_frame(header)
            return (_frame(header, None, [header.named]),)
        except MedsegError:
            raise
        except Exception as error:  # pydicom raises nearly anything on damaged sequences; all of it means the same
            raise InputError(
                f"its header holds an invalid value ({cause(error)})",
                where=header.path,
                fix="Export the series again from the archive.",
            ) from error


def _multi_frame(header: Header) -> tuple[Frame, ...]:
    """Frames of an enhanced object; what a frame does not say itself, the shared groups or the header do."""
    elements, path = header.elements, header.path
    count = int(elements.get("NumberOfFrames") or 1)
    per_frame = elements.get("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        raise InputError(
            f"its header gives no position for its {count} frames",
            where=path,
            fix="Export the series as enhanced multi-frame or single-frame DICOM.",
        )
    if len(per_frame) != count:
        raise InputError(
            f"its header states {count} frames and describes {len(per_frame)}",
            where=path,
            fix="Export the series again.",
        )
    shared = elements.get("SharedFunctionalGroupsSequence") or [Dataset()]
    common = [*_items(shared[0]), header.named]
    dimensions = _private_dimensions(elements)
    frames = tuple(
        _frame(header, number, [*_items(groups), *common], _indices(groups, dimensions), groups=own)
        for number, (groups, own) in enumerate(zip(per_frame, differing(per_frame), strict=True))
    )
    for item in (*_items(shared[0]), *_items(per_frame[0])):
        for keyword in OF_PET:
            if keyword in item and not elements.get(keyword):
                elements[keyword] = item[keyword]
    if "RealWorldValueMappingSequence" in shared[0] and "RealWorldValueMappingSequence" not in elements:
        elements["RealWorldValueMappingSequence"] = shared[0]["RealWorldValueMappingSequence"]
    # They may be large, and all that matters of them is in the frames now.
    for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        header.named.pop(keyword, None)
        if keyword in elements:
            del elements[keyword]
    return frames


def _private_dimensions(elements: Dataset) -> dict[int, str]:
    """Number and name of the dimensions that are the maker's own.

    What they are called is the maker's secret, but their indices say which frames are alike, as those of the standard's
    dimensions do, whose values are looked at themselves.
    """
    sequence = elements.get("DimensionIndexSequence") or ()
    pointers = [item.get("DimensionIndexPointer") for item in sequence]
    return {n: f"private dimension {tag}" for n, tag in enumerate(pointers) if tag is not None and tag.is_private}


def _indices(groups: Dataset, dimensions: Mapping[int, str]) -> dict[str, Any]:
    if not dimensions:
        return {}
    content = groups.get("FrameContentSequence") or [Dataset()]
    values = content[0].get("DimensionIndexValues") or ()
    values = [values] if isinstance(values, int) else list(values)
    return {name: float(values[n]) for n, name in dimensions.items() if n < len(values)}


def _items(groups: Dataset) -> list[Dataset]:
    """First items of the functional group macros of one frame, standard ones only."""
    items = [
        element.value[0] for element in groups if element.VR == "SQ" and not element.tag.is_private and element.value
    ]
    deeper = [item.get("DiffusionGradientDirectionSequence") for item in items]
    return items + [sequence[0] for sequence in deeper if sequence]


def _frame(
    header: Header,
    index: int | None,
    places: Sequence[Dataset | Mapping[str, Any]],
    indices: Mapping[str, Any] | None = None,
    *,
    groups: Mapping[str, str] | None = None,
) -> Frame:
    def get(*keywords: str) -> Any:
        for keyword in keywords:
            for place in places:
                value = place.get(keyword)
                if value is not None and value != "":
                    return value
        return None

    def numbers(keyword: str, count: int) -> tuple[float, ...] | None:
        value = get(keyword)
        if value is None or len(value) == 0:
            return None
        if len(value) != count:
            raise ValueError(f"{keyword} has {len(value)} numbers instead of {count}")
        return tuple(float(v) for v in value)

    def number(keyword: str, default: float) -> float:
        value = get(keyword)
        return default if value is None else float(value)

    def length(keyword: str) -> float:
        value = abs(number(keyword, 0.0))
        return value if isfinite(value) else 0.0  # the places of the slices say what it would

    spacing = numbers("PixelSpacing", 2)
    position = numbers("ImagePositionPatient", 3)
    image_type = get("FrameType", "ImageType") if index is not None else get("ImageType")
    also = ENHANCED if index is not None else {}
    attributes = {
        keyword: _plain(value)
        for keyword in DISTINGUISHING
        if (value := get(also.get(keyword, keyword), keyword)) is not None
    }
    if image_type is not None:
        attributes["ImageType"] = _plain(image_type) if not isinstance(image_type, str) else (image_type,)
    attributes |= indices or {}
    if index is not None:
        attributes["object"] = _object(header.elements)
    place = get("InStackPositionNumber")
    slope, intercept = number("RescaleSlope", 1.0), number("RescaleIntercept", 0.0)
    for keyword, value, least in (("RescaleSlope", slope, SMALLEST), ("RescaleIntercept", intercept, 0.0)):
        if not least <= abs(value) <= LARGEST:
            raise ValueError(f"{keyword} is {value:g}")
    return Frame(
        file=header.path,
        index=index,
        header=header.elements,
        pixels_at=header.pixels_at,
        rows=int(header.named.get("Rows") or 0),
        columns=int(header.named.get("Columns") or 0),
        position=None if position is None else (position[0], position[1], position[2]),
        orientation=numbers("ImageOrientationPatient", 6),
        pixel_spacing=None if spacing is None else (spacing[0], spacing[1]),
        stated_step=length("SpacingBetweenSlices"),
        thickness=length("SliceThickness"),
        stack_place=None if index is None or place is None else (str(get("StackID") or ""), int(place)),
        slope=slope,
        intercept=intercept,
        is_scaled=get("RescaleSlope", "RescaleIntercept") is not None,
        is_scaled_in_full=None not in (get("RescaleSlope"), get("RescaleIntercept")),
        groups=groups or {},
        attributes=attributes,
    )


def _object(elements: Dataset) -> str:
    """Short name of a multi-frame object, the same for all parts of one that was split."""
    identity = str(elements.get("ConcatenationUID") or elements.get("SOPInstanceUID"))
    return hashlib.sha256(identity.encode()).hexdigest()[:6]


def _plain(value: Any) -> Any:
    """A value that can be compared and used as a key."""
    if isinstance(value, str):
        return str(value).strip()
    try:
        return tuple(_plain(v) for v in value)
    except TypeError:
        # NaN is not even equal to itself.
        return float(value) if isinstance(value, (int, float)) and isfinite(value) else str(value)
