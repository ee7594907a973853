"""What the values of a series are: Hounsfield units, SUV, activity, or unknown."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.suv import PET, units_of
from medseg.io.dicom.value_checks import hounsfield_warnings


def value_unit(frames: Sequence[Frame], *, has_suv: bool) -> str:
    """Return ``"HU"``, ``"SUV"``, ``"Bq/ml"`` or, where the header does not say, nothing.

    - `has_suv`: whether the values of a PET series are SUV, as stored or as computed.
    """
    header = frames[0].header
    if str(header.get("SOPClassUID")) in PET:
        return "SUV" if has_suv else "Bq/ml" if units_of(frames) == "BQML" else ""
    return "HU" if str(header.get("Modality")) == "CT" and not hounsfield_warnings(frames) else ""
