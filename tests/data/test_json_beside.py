import pytest
from small_files import classes, noise, volume

from medseg.data.layouts import read_dataset
from medseg.errors import InputError, UsageError


def nnunet(root, text, name="dataset.json"):
    for number in (1, 2, 3):
        volume(root / "imagesTr" / f"p{number}_0000.nii.gz", noise(seed=number))
        volume(root / "labelsTr" / f"p{number}.nii.gz", classes())
    (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"channel_names": {"0": "CT"},\n "labels": {"background": 0,}}', r"dataset\.json: cannot be read .*: line 2"),
        ("[]", r"dataset\.json: is not a JSON object"),
        ("", r"dataset\.json: cannot be read .*: line 1"),
    ],
)
def test_a_dataset_json_that_is_none_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_dataset(nnunet(tmp_path, text))
    with pytest.raises(InputError, match=said):
        read_dataset(tmp_path / "dataset.json")


def test_a_dataset_json_that_says_too_little_is_not_passed_over_in_silence(tmp_path):
    data = read_dataset(nnunet(tmp_path, '{"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}}'))
    assert any("dataset.json is not read" in text and "channel_names, labels" in text for text in data.ambiguous)


def test_lists_that_are_not_read_are_said(tmp_path):
    data = read_dataset(nnunet(tmp_path, '{"training": [,]}', "fold0.json"))
    assert any("fold0.json cannot be read as JSON" in text and "line 1" in text for text in data.ambiguous)
    for name in ("fold0.json", "fold1.json"):
        (tmp_path / name).write_text('{"training": []}')
    assert any("fold0.json, fold1.json each list cases" in text for text in read_dataset(tmp_path).ambiguous)


def test_a_table_needs_no_dataset_json(tmp_path):
    nnunet(tmp_path, "none")
    rows = "".join(f"p{n},imagesTr/p{n}_0000.nii.gz,labelsTr/p{n}.nii.gz\n" for n in (1, 2, 3))
    (tmp_path / "dataset.csv").write_text("case,image,label\n" + rows)
    assert len(read_dataset(tmp_path).labeled) == 3


DESCRIBED = '{"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}'


def test_the_described_dataset_in_a_folder_is_read_with_its_names(tmp_path):
    nnunet(tmp_path / "Dataset001_Liver", DESCRIBED)
    data = read_dataset(tmp_path)
    assert (data.layout, data.folder.name) == ("nnunet", "Dataset001_Liver")
    assert data.table.name_of(1) == "liver"
    assert "the dataset is the folder Dataset001_Liver in" in " ".join(data.ambiguous)


def test_several_datasets_in_a_folder_are_not_taken_for_one(tmp_path):
    nnunet(tmp_path / "Dataset001_Liver", DESCRIBED)
    nnunet(tmp_path / "Dataset002_Spleen", DESCRIBED.replace("liver", "spleen"))
    with pytest.raises(UsageError, match="Dataset001_Liver, Dataset002_Spleen"):
        read_dataset(tmp_path)


def test_a_table_of_cases_in_several_datasets_is_read(tmp_path):
    for name in ("Dataset001_Liver", "Dataset002_Spleen"):
        nnunet(tmp_path / name, DESCRIBED)
    inside = "Dataset001_Liver/imagesTr/p{0}_0000.nii.gz,Dataset001_Liver/labelsTr/p{0}.nii.gz"
    rows = [f"p{n},{inside.format(n)}\n" for n in (1, 2)]
    (tmp_path / "dataset.csv").write_text("case,image,label\n" + "".join(rows))
    assert read_dataset(tmp_path).layout == "table"
