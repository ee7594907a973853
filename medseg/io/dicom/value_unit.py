"""What the values of a series are: Hounsfield units, SUV, activity, or unknown."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.suv import PET, units_of


def value_unit(frames: Sequence[Frame], *, has_suv: bool, has_hu: bool) -> str:
    """Return ``"HU"``, ``"SUV"``, ``"Bq/ml"`` or, where the header does not say, nothing.

    - `has_suv`: whether the values of a PET series are SUV, as stored or as computed.
    - `has_hu`: whether nothing says of those of a CT that they are no Hounsfield units.
    """
    header = frames[0].header
    if str(header.get("SOPClassUID")) in PET:
        return "SUV" if has_suv else "Bq/ml" if units_of(frames) == "BQML" else ""
    return "HU" if str(header.get("Modality")) == "CT" and has_hu else ""
