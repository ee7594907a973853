import numpy as np
import pytest
from challenge_layouts import LAYOUTS, REFUSED, pannuke

from medseg.data.audit import audit
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import MedsegError


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_is_not_read_says_what_it_is_and_how_to_convert_it(tmp_path, make):
    said = make(tmp_path)
    with pytest.raises(MedsegError, match=said):
        audit(read_dataset(tmp_path))


def test_a_tumor_on_its_liver_is_kept(tmp_path):
    make = next(make for make in LAYOUTS if make.__name__ == "masks_inside_masks")
    make(tmp_path)
    data = read_dataset(tmp_path)
    _, reference = read_case(data, data.labeled[0])
    assert np.bincount(reference.array.ravel()).tolist()[1:] == [16, 16]


def test_many_images_in_one_array_are_no_volume_in_silence(tmp_path):
    pannuke(tmp_path)
    data = read_dataset(tmp_path)
    assert any("4 x 16 x 12" in text and "a file each" in text for text in data.ambiguous)
    (found,) = [finding for finding in audit(data).findings if finding.kind == "unreadable"]
    assert "its label has 4 axes" in found.message
