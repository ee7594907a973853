from dataclasses import replace

import numpy as np
import pytest
from small_files import noise, picture, volume

from medseg.data.audit import audit
from medseg.data.dataset import ArrayKeys, Channel, Dataset, DatasetCase, ReferencePart
from medseg.data.reading import read_case
from medseg.data.reference_files import colors_of
from medseg.errors import InputError
from medseg.types import LabelClass, LabelTable

TABLE = LabelTable((LabelClass(1, "organ"), LabelClass(2, "tumor")))


def dataset(folder, case, **fields):
    return Dataset("d", folder, "table", (Channel("CT"),), TABLE, (case,), **fields)


def test_a_file_a_class_and_the_smaller_on_top(tmp_path):
    image = volume(tmp_path / "ct.nii.gz", noise())
    organ = np.zeros((6, 5, 4), np.uint8)
    organ[1:5] = 1
    tumor = np.zeros((6, 5, 4), np.uint8)
    tumor[2, 2] = 255
    parts = (
        ReferencePart(volume(tmp_path / "tumor.nii.gz", tumor), 2),
        ReferencePart(volume(tmp_path / "organ.nii.gz", organ), 1),
    )
    data = dataset(tmp_path, DatasetCase("a", (image,), parts[0].path, parts=parts))
    _, reference = read_case(data, data.cases[0])
    assert np.array_equal(reference.array, np.where(tumor > 0, 2, organ))
    (finding,) = [f for f in audit(data).findings if f.kind == "overlapping-masks"]
    assert "share 4 voxels" in finding.message
    assert not finding.blocks


def test_a_file_an_object(tmp_path):
    image = picture(tmp_path / "a.png", np.arange(48, dtype=np.uint8).reshape(6, 8))
    masks = []
    for number in range(3):
        mask = np.zeros((6, 8), np.uint8)
        mask[number * 2, :4] = 255
        masks.append(ReferencePart(picture(tmp_path / f"m{number}.png", mask)))
    table = LabelTable((LabelClass(1, "object"),))
    case = DatasetCase("a", (image,), masks[0].path, parts=tuple(masks))
    data = replace(dataset(tmp_path, case), table=table, references="instances")
    _, reference = read_case(data, data.cases[0])
    assert reference.array[..., 0].T[[0, 2, 4], :4].all()
    assert np.count_nonzero(reference.array) == 12


def test_colors_are_classes_and_others_are_named(tmp_path):
    red, blue = (255, 0, 0), (0, 0, 255)
    mask = np.zeros((6, 8, 3), np.uint8)
    mask[:2], mask[4:] = red, blue
    image = picture(tmp_path / "a.png", np.arange(48, dtype=np.uint8).reshape(6, 8))
    case = DatasetCase("a", (image,), picture(tmp_path / "m.png", mask))
    data = dataset(tmp_path, case, colors={(0, 0, 0): 0, red: 1, blue: 2})
    _, reference = read_case(data, data.cases[0])
    assert np.array_equal(reference.array[..., 0].T[:, 0], [1, 1, 0, 0, 2, 2])
    assert colors_of(case.reference) == {(0, 0, 0): 16, red: 16, blue: 16}
    with pytest.raises(InputError, match="1 colors that 'colors' does not name: #0000ff"):
        read_case(replace(data, colors={(0, 0, 0): 0, red: 1}), data.cases[0])


@pytest.mark.parametrize("channels", ["none", "first", "last"])
def test_image_and_label_of_one_file(tmp_path, channels):
    image, label = noise(), np.zeros((6, 5, 4), np.uint8)
    label[1], label[2] = 1, 2
    shaped = {"none": image, "first": image[None], "last": image[..., None]}[channels]
    np.savez(tmp_path / "a.npz", image=shaped, label=label, spacing=[1.0, 1.0, 2.5])
    case = DatasetCase("a", (tmp_path / "a.npz",), tmp_path / "a.npz")
    data = dataset(tmp_path, case, arrays=ArrayKeys("image", "label"))
    scan, reference = read_case(data, data.cases[0])
    assert np.array_equal(scan.array[0], image)
    assert np.array_equal(reference.array, label)
    assert scan.geometry.spacing == (1, 1, 2.5)
    assert data.cases[0].files == (tmp_path / "a.npz",)


def test_a_mask_with_gray_rims_is_refused(tmp_path):
    image = picture(tmp_path / "a.png", np.arange(48, dtype=np.uint8).reshape(6, 8))
    part = ReferencePart(picture(tmp_path / "m.png", np.arange(48, dtype=np.uint8).reshape(6, 8)), 1)
    data = dataset(tmp_path, DatasetCase("a", (image,), part.path, parts=(part,)))
    with pytest.raises(InputError, match="this has 48"):
        read_case(data, data.cases[0])
