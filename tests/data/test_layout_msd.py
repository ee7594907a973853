import json
from pathlib import Path

import pytest
from shared_data import DATA

from medseg.data.layouts import read_dataset
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


@pytest.mark.needs_data("data/hippocampus")
def test_the_hippocampus_dataset():
    dataset = read_dataset(DATA / "hippocampus")
    assert len(dataset.labeled) == 208
    assert dataset.channels[0].modality == "MR"
    assert all(case.images[0].is_file() and case.reference.is_file() for case in dataset.cases)
