"""Names as DICOM holds them."""

import pytest
from pydicom.valuerep import PersonName

from medseg.io.dicom_results.coding import person_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("A. Reader", ("Reader", "A.", "", "", "")),
        ("Dr. A. Reader", ("Reader", "A.", "", "Dr.", "")),
        ("dr A Reader", ("Reader", "A", "", "dr", "")),
        ("Prof. Dr. med. Ada B. Reader", ("Reader", "Ada B.", "", "Prof. Dr. med.", "")),
        ("Dr. Reader", ("Reader", "", "", "Dr.", "")),
        ("Dr.", ("Dr.", "", "", "", "")),
        ("Med Reader", ("Reader", "Med", "", "", "")),
        ("Ada Reader, MD, PhD", ("Reader", "Ada", "", "", "MD, PhD")),
        ("Reader^Ada^^Dr.", ("Reader", "Ada", "", "Dr.", "")),
        ("reader", ("reader", "", "", "", "")),
        (" ", ("", "", "", "", "")),
    ],
)
def test_each_part_of_a_name_is_in_its_place(name, parts):
    found = PersonName(person_name(name))
    own = (found.family_name, found.given_name, found.middle_name, found.name_prefix, found.name_suffix)
    assert own == parts
    assert len(person_name(name * 9)) <= 64
