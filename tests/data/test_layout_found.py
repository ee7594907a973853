import challenge_layouts
import numpy as np
import public_layouts
import pytest
from public_layouts import busi, drawn

from medseg.data.audit import audit
from medseg.data.describe import write_description
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case


def files_of(case, root):
    references = [part.path for part in case.parts] or [case.reference]
    images = tuple(path.relative_to(root).as_posix() for path in case.images)
    return images, tuple(path.relative_to(root).as_posix() for path in references)


def test_several_masks_of_one_image_are_joined_and_described_so(tmp_path):
    busi(tmp_path)
    data = read_dataset(tmp_path)
    one, more = (read_case(data, case)[1].array for case in data.labeled if case.case_id in ("benign_1", "benign_4"))
    second = np.zeros_like(more[..., 0], bool)
    second[9:12, 5:9] = True
    assert np.array_equal(more[..., 0] == 1, second | (drawn(4) > 0))
    assert np.array_equal(one[..., 0] == 1, drawn(1) > 0)
    write_description(data, tmp_path / "dataset.yaml")
    again = read_dataset(tmp_path)
    assert again.layout == "table"
    assert [case.parts for case in again.cases] == [case.parts for case in data.cases]


@pytest.mark.parametrize("make", [*public_layouts.LAYOUTS, *challenge_layouts.LAYOUTS], ids=lambda make: make.__name__)
def test_a_public_layout_is_read_as_it_is(tmp_path, make):
    expected = make(tmp_path)
    data = read_dataset(tmp_path)
    assert {case.case_id: files_of(case, tmp_path) for case in data.labeled} == expected.cases
    assert tuple(channel.name for channel in data.channels) == expected.channels
    assert tuple(entry.name for entry in data.table) == expected.classes
    assert {case.case_id: case.group for case in data.labeled if case.group} == expected.groups
    assert {name: case.split for case in data.cases if (name := case.case_id) in expected.splits} == expected.splits
    assert tuple(case.case_id for case in data.cases if case.reference is None) == expected.unlabeled
    assert (data.references, data.dimensions) == (expected.references, expected.dimensions)
    assert any(expected.ambiguous in text for text in data.ambiguous) if expected.ambiguous else not data.ambiguous
    assert expected.said in " ".join(data.read_as)
    scan, reference = read_case(data, data.labeled[0])
    assert scan.geometry.matches(reference.geometry)
    assert set(np.unique(reference.array).tolist()) - {0}
    assert not [finding for finding in audit(data).findings if finding.kind in ("unreadable", "reference-grid")]
