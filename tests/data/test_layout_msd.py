import json
from pathlib import Path

import pytest
from shared_data import DATA
from small_files import classes, noise, volume

from medseg.data.fold_numbers import fold_number
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.data.splits import split_cases
from medseg.errors import InputError, UsageError

CASES = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ("b.1", "a")]
DESCRIPTION = {
    "name": "Brain",
    "licence": "CC BY",
    "modality": {"1": "T1w", "0": "FLAIR", "10": "ADC"},
    "labels": {"0": "background", "2": "core", "1": "edema"},
    "training": CASES,
}


def write(folder: Path, **changes) -> Path:
    description = {k: v for k, v in {**DESCRIPTION, **changes}.items() if v is not None}
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def test_everything_the_description_says_is_read(tmp_path):
    dataset = read_dataset(write(tmp_path))
    assert (dataset.name, dataset.layout, dataset.license) == ("Brain", "msd", "CC BY")
    assert [(c.name, c.modality) for c in dataset.channels] == [("FLAIR", "MR"), ("T1w", "MR"), ("ADC", "MR")]
    assert [(c.value, c.name) for c in dataset.table] == [(1, "edema"), (2, "core")]
    assert [c.case_id for c in dataset.cases] == ["a", "b.1"]
    assert dataset.cases[0].reference == tmp_path / "labelsTr" / "a.nii.gz"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": None}, "'labels'"),
        ({"labels": {"one": "x"}}, "'labels'"),
        ({"modality": None}, "'modality'"),
        ({"training": []}, "no case"),
        ({"training": [{"image": "x"}]}, "'image' and 'label'"),
        ({"training": [{"label": "x"}]}, "'image' and 'label'"),
        ({"training": [CASES[0]] * 2}, "two cases are called 'b.1'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, changes, what):
    with pytest.raises(InputError, match=what):
        read_dataset(write(tmp_path, **changes))


def test_what_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        read_dataset(tmp_path / "nothing")
    with pytest.raises(InputError, match="which files are images and which labels was not found"):
        read_dataset(tmp_path)


def listed(folder, content, name="dataset_0.json"):
    for number in range(4):
        for contrast in ("t1", "t2"):
            volume(folder / "data" / f"p{number}" / f"{contrast}.nii.gz", noise(seed=number))
        volume(folder / "data" / f"p{number}" / "label.nii.gz", classes())
    (folder / name).write_text(json.dumps(content))
    return read_dataset(folder)


def item(number, **more):
    images = [f"data/p{number}/{contrast}.nii.gz" for contrast in ("t1", "t2")]
    return {"image": images, "label": f"data/p{number}/label.nii.gz", **more}


def test_a_datalist_with_folds_and_several_images(tmp_path):
    dataset = listed(tmp_path, {"training": [item(n, fold=n % 2) for n in range(4)]})
    assert [(c.case_id, fold_number(c)) for c in dataset.cases] == [("p0", 0), ("p1", 1), ("p2", 0), ("p3", 1)]
    assert [len(case.images) for case in dataset.cases] == [2] * 4
    assert ([c.name for c in dataset.channels], len(dataset.table)) == (["channel 0", "channel 1"], 2)
    split = split_cases(dataset.cases, folds=None, fold=1, seed=0)
    assert (split.name, split.validation) == ("fold 1 of 2, as the dataset gives it", ("p1", "p3"))
    assert read_case(dataset, dataset.cases[0])[0].channels == 2


def test_a_datalist_with_validation_and_test(tmp_path):
    content = {"training": [item(0), item(1)], "validation": [item(2)], "testing": [item(3)]}
    dataset = listed(tmp_path, content)
    assert [case.split for case in dataset.cases] == ["train", "train", "validation", "test"]


def test_a_datalist_whose_paths_start_a_folder_higher(tmp_path):
    listed(tmp_path, {"training": [item(0), item(1)]})
    (tmp_path / "lists").mkdir()
    (tmp_path / "dataset_0.json").rename(tmp_path / "lists" / "dataset_0.json")
    dataset = read_dataset(tmp_path / "lists" / "dataset_0.json")
    assert dataset.cases[0].images[0] == tmp_path / "data" / "p0" / "t1.nii.gz"


def test_the_first_version_of_nnunet_lists_cases_without_channels(tmp_path):
    folder = write(tmp_path, modality={"0": "T1", "1": "T2"})
    for name in ("a", "b.1"):
        for channel in (0, 1):
            volume(folder / "imagesTr" / f"{name}_{channel:04}.nii.gz", noise())
        volume(folder / "labelsTr" / f"{name}.nii.gz", classes())
    dataset = read_dataset(folder)
    assert [path.name for path in dataset.cases[0].images] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert [case.case_id for case in dataset.cases] == ["a", "b.1"]


@pytest.mark.needs_data("data/hippocampus")
def test_the_hippocampus_dataset():
    dataset = read_dataset(DATA / "hippocampus")
    assert len(dataset.labeled) == 208
    assert dataset.channels[0].modality == "MR"
    assert all(case.images[0].is_file() and case.reference.is_file() for case in dataset.cases)
