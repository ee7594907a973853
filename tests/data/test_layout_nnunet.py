import json
from pathlib import Path

import numpy as np
import pytest
from small_files import classes, noise, picture, volume

from medseg.data.audit import audit
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import InputError

DESCRIPTION = {
    "channel_names": {"0": "T2", "1": "ADC"},
    "labels": {"background": 0, "zone": 1, "lesion": [2], "ignore": 3},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


def write(folder: Path, **changes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({**DESCRIPTION, **changes}))
    for case in ("p_01", "p_02"):
        for channel in (0, 1):
            volume(folder / "imagesTr" / f"{case}_{channel:04}.nii.gz", noise(seed=channel))
        volume(folder / "labelsTr" / f"{case}.nii.gz", classes(values=(1, 2, 3)))
    return folder


def test_everything_the_description_says_is_read(tmp_path):
    dataset = read_dataset(write(tmp_path / "Dataset005_Prostate"))
    assert (dataset.name, dataset.layout, dataset.ignore_label) == ("Dataset005_Prostate", "nnunet", 3)
    assert [(c.name, c.modality) for c in dataset.channels] == [("T2", "MR"), ("ADC", "MR")]
    assert [(c.value, c.name) for c in dataset.table] == [(1, "zone"), (2, "lesion")]
    assert [c.case_id for c in dataset.cases] == ["p_01", "p_02"]
    scan, reference = read_case(dataset, dataset.cases[0])
    assert scan.channels == 2
    assert (scan.array[1] == noise(seed=1)).all()
    assert sorted(set(reference.array.ravel().tolist())) == [0, 1, 2, 3]


def test_cases_listed_in_the_description_are_taken_from_there(tmp_path):
    item = {"images": ["imagesTr/p_01_0000.nii.gz", "imagesTr/p_01_0001.nii.gz"], "label": "labelsTr/p_01.nii.gz"}
    dataset = read_dataset(write(tmp_path, dataset={"first": item}))
    assert [c.case_id for c in dataset.cases] == ["first"]
    assert len(dataset.cases[0].images) == 2


def test_an_image_without_label_is_a_case_without_reference(tmp_path):
    folder = write(tmp_path)
    (folder / "labelsTr" / "p_02.nii.gz").unlink()
    assert [c.case_id for c in read_dataset(folder).labeled] == ["p_01"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"channel_names": {}}, "'channel_names'"),
        ({"labels": ["a"]}, "'labels'"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, "'regions_class_order' must list"),
        ({"labels": {"whole": [1, 2], "core": 2}, "regions_class_order": [1, 1]}, "two regions one value"),
        # Where 2 is, the whole lies on top of the core: a label map would not tell of the core.
        ({"labels": {"core": 2, "whole": [1, 2]}, "regions_class_order": [2, 1]}, "a label map would hold 1"),
        ({"labels": {"background": 0, "zone": "1"}}, "'zone' is '1'"),
        ({"channel_names": {"0": "T2"}}, "channels \\[0, 1\\], not 0 to 0"),
        ({"dataset": {"x": {"images": ["a"]}}}, "case 'x'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, changes, what):
    with pytest.raises(InputError, match=what):
        read_dataset(write(tmp_path, **changes))


def test_a_file_without_channel_is_named(tmp_path):
    folder = write(tmp_path)
    volume(folder / "imagesTr" / "odd.nii.gz", noise())
    with pytest.raises(InputError, match=r"odd\.nii\.gz: its name does not end in a channel"):
        read_dataset(folder)


def test_regions_keep_their_order_and_what_they_cover(tmp_path):
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    dataset = read_dataset(write(tmp_path, labels=labels, regions_class_order=[1, 2, 3]))
    assert dataset.regions == {1: (1, 2, 3), 2: (2, 3), 3: (3,)}
    assert [(c.value, c.name) for c in dataset.table] == [(1, "whole"), (2, "core"), (3, "enhancing")]
    assert dataset.parts == (1, 2, 3)
    assert dataset.n_outputs == 3
    _, reference = read_case(dataset, dataset.cases[0])
    assert sorted(set(reference.array.ravel().tolist())) == [0, 1, 2, 3]


def test_regions_whose_values_are_not_in_order(tmp_path):
    """BraTS up to 2020: 1 necrosis, 2 edema, 4 enhancing."""
    labels = {"background": 0, "whole": [1, 2, 4], "core": [1, 4], "enhancing": [4]}
    dataset = read_dataset(write(tmp_path, labels=labels, regions_class_order=[2, 1, 4]))
    assert dataset.regions == {2: (1, 2, 4), 1: (1, 4), 4: (4,)}
    assert [(c.value, c.name) for c in dataset.table] == [(1, "core"), (2, "whole"), (4, "enhancing")]


def test_color_images_are_one_file(tmp_path):
    (tmp_path / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {"0": "R", "1": "G", "2": "B"},
                "labels": {"background": 0, "road": 1},
                "numTraining": 2,
                "file_ending": ".png",
            }
        )
    )
    for name in "ab":
        colors = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
        picture(tmp_path / "imagesTr" / f"{name}_0000.png", colors)
        picture(tmp_path / "labelsTr" / f"{name}.png", (colors[..., 0] > 99).astype(np.uint8))
    dataset = read_dataset(tmp_path)
    scan, reference = read_case(dataset, dataset.cases[0])
    assert (scan.channels, dataset.dimensions) == (3, 2)
    assert np.array_equal(reference.array == 1, scan.array[0] > 99)


def test_files_of_macos_are_no_cases(tmp_path):
    folder = write(tmp_path)
    (folder / "imagesTr" / "._p_01_0000.nii.gz").write_bytes(b"\0\5\x16\7")
    assert [case.case_id for case in read_dataset(folder).cases] == ["p_01", "p_02"]


def test_a_missing_channel_is_a_finding_of_its_case(tmp_path):
    folder = write(tmp_path)
    (folder / "imagesTr" / "p_02_0001.nii.gz").unlink()
    (finding,) = [f for f in audit(read_dataset(folder)).findings if f.blocks]
    assert (finding.kind, finding.case_id) == ("missing-file", "p_02")


def test_labels_the_other_way_round_and_another_ending_are_read(tmp_path):
    labels = {"0": "background", "1": "zone", "2": "lesion", "3": "ignore"}
    dataset = read_dataset(write(tmp_path, labels=labels, file_ending=".nii"))
    assert [(c.value, c.name) for c in dataset.table] == [(1, "zone"), (2, "lesion")]
    assert dataset.ambiguous == ("file_ending is .nii, and files end in .nii.gz, which is taken",)
    assert len(dataset.labeled) == 2
