"""Codes that 3D Slicer writes of its segments, and what DICOM has room for."""

import numpy as np
import pytest
import SimpleITK

from medseg.io.read import read_labels
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


@pytest.mark.parametrize(("stored", "expected"), [("Größe".encode(), "Größe"), ("Größe".encode("cp1252"), "Größe")])
def test_names_of_segments_are_text_whatever_encoded_them(tmp_path, stored, expected):
    image = SimpleITK.GetImageFromArray(np.eye(4, dtype=np.uint8)[None])
    for key, value in {"ID": "a", "Name": "NAME", "LabelValue": "1", "Layer": "0", "Extent": "0 3 0 3 0 0"}.items():
        image.SetMetaData(f"Segment0_{key}", value)
    path = tmp_path / "labels.seg.nrrd"
    SimpleITK.WriteImage(image, str(path))
    path.write_bytes(path.read_bytes().replace(b"NAME", stored, 1))
    assert read_labels(path).table.name_of(1) == expected
