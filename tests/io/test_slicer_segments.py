"""Codes that 3D Slicer writes of its segments, and what DICOM has room for."""

import pytest

from medseg.io.slicer_segments import _codes
from medseg.types import Code


def entry(scheme: str, value: str, meaning: str) -> str:
    return f"TerminologyEntry:Context~SCT^123037004^Anatomical Structure~{scheme}^{value}^{meaning}~^^~x~^^~^^"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (("SCT", "10200004", "Liver"), Code("10200004", "SCT", "Liver")),
        (("SCT", "10200004", "Liver " * 20), Code("10200004", "SCT", ("Liver " * 20)[:64])),
        (("SCT", "10200004", ""), Code("10200004", "SCT", "10200004")),
        (("SCT", "", "Liver"), None),
        (("SCT", "1" * 17, "Liver"), None),
        (("", "10200004", "Liver"), None),
        (("A scheme with a name", "10200004", "Liver"), None),
    ],
)
def test_codes_that_fit_are_kept_and_others_are_none(written, expected):
    assert _codes(entry(*written))[1] == expected
