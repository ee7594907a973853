"""A DICOM file that was cut anywhere is noticed, whatever its encoding."""

import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from small_series import small_multiframe

from medseg.errors import ResourceLimit
from medseg.io.dicom import whole
from medseg.io.dicom.whole import is_whole


def an_object(path, syntax, undefined):
    """An object with sequences in sequences, whose lengths are stated or not."""
    small_multiframe(path, shape=(4, 3, 2))
    dataset = pydicom.dcmread(path)
    for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        dataset[sequence].is_undefined_length = undefined
        for item in dataset[sequence].value:
            item.is_undefined_length_sequence_item = undefined
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
    ],
)
def test_a_cut_file_is_noticed_wherever_it_was_cut(tmp_path, syntax, undefined):
    content = an_object(tmp_path / "whole.dcm", syntax, undefined)
    assert is_whole(tmp_path / "whole.dcm", syntax)
    (tmp_path / "padded.dcm").write_bytes(content + b"\0" * 100)
    assert is_whole(tmp_path / "padded.dcm", syntax) or syntax == DeflatedExplicitVRLittleEndian
    pixels = content.rfind(b"\xe0\x7f\x10\x00") if syntax != ExplicitVRBigEndian else content.rfind(b"\x7f\xe0\x00\x10")
    noticed = []
    for length in range(133, len(content), 3):
        (tmp_path / "cut.dcm").write_bytes(content[:length])
        noticed.append(not is_whole(tmp_path / "cut.dcm", syntax))
    if syntax != DeflatedExplicitVRLittleEndian:  # whole elements may be missing from the end, which no length tells
        assert all(noticed[(pixels - 133) // 3 + 1 :])
    assert sum(noticed) > 0.9 * len(noticed)


@pytest.mark.parametrize("undefined", [False, True])
def test_elements_without_end_are_not_all_looked_at(tmp_path, monkeypatch, undefined):
    an_object(tmp_path / "whole.dcm", ExplicitVRLittleEndian, undefined)
    monkeypatch.setattr(whole, "MOST_ELEMENTS", 10)
    with pytest.raises(ResourceLimit, match="more than 10 elements"):
        is_whole(tmp_path / "whole.dcm", ExplicitVRLittleEndian)
