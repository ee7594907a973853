from pathlib import Path

import numpy as np
import pytest
import yaml
from shared_data import DATA
from small_files import classes, mask_dice, noise, volume

from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case, read_channels_with_notes
from medseg.errors import ConfigError, GeometryMismatch, InputError

SARCOMA = DATA / "sarcoma"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2):
        volume(tmp_path / f"ct{number}.nii.gz", noise(seed=number))
        volume(tmp_path / f"pet{number}.nii.gz", noise(seed=10 + number))
        volume(tmp_path / f"label{number}.nii.gz", classes())
    return tmp_path


CSV = """case,CT,PET,label,group,split
b,ct2.nii.gz,pet2.nii.gz,label2.nii.gz,anna,val
a,ct1.nii.gz,pet1.nii.gz,label1.nii.gz,bert,train
"""


def described(path, said):
    path.write_text(yaml.safe_dump(said))
    return read_dataset(path)


def test_a_csv_file_alone(folder):
    (folder / "cases.csv").write_text(CSV)
    dataset = read_dataset(folder / "cases.csv")
    assert (dataset.name, dataset.layout) == ("cases", "table")
    assert [(c.name, c.modality) for c in dataset.channels] == [("CT", "CT"), ("PET", "PT")]
    cases = [(c.case_id, c.group, c.split) for c in dataset.cases]
    assert cases == [("a", "bert", "train"), ("b", "anna", "validation")]
    assert [(c.value, c.name) for c in dataset.table] == [(1, "class-1"), (2, "class-2")]
    scan, _ = read_case(dataset, dataset.cases[0])
    assert np.array_equal(scan.array, np.stack([noise(seed=1), noise(seed=11)]))


def test_yaml_names_everything(folder):
    (folder / "cases.csv").write_text(CSV)
    said = {"name": "Lungs", "license": "CC0", "channels": {"CT": "CT"}, "values": {2: 5}, "cases": "cases.csv"}
    said["labels"] = {"tumor": 5, "node": {"value": 1}}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(said))
    dataset = read_dataset(folder)
    assert (dataset.name, dataset.license, len(dataset.channels)) == ("Lungs", "CC0", 1)
    assert [(c.value, c.name) for c in dataset.table] == [(1, "node"), (5, "tumor")]
    _, reference = read_case(dataset, dataset.cases[0])
    assert np.array_equal(reference.array, np.choose(classes(), [0, 1, 5]))


def test_background_can_be_made_a_class_and_a_class_background(folder):
    cases = [{"case": "a", "CT": "ct1.nii.gz", "label": "label1.nii.gz"}]
    said = {"labels": {"membrane": 1}, "values": {0: 1, 1: 0, 2: 0}, "cases": cases}
    dataset = described(folder / "d.yaml", said)
    _, reference = read_case(dataset, dataset.cases[0])
    assert np.array_equal(reference.array == 1, classes() == 0)


def test_channels_on_other_grids_are_an_error_unless_the_user_says_so(folder):
    """A ramp in mm sampled on a coarser, shifted grid comes back as the ramp."""
    grid = np.indices((6, 5, 4)).astype(np.float32)
    volume(folder / "pet1.nii.gz", 3 * (2 * grid[0] - 3) + (2 * grid[2] - 3), spacing=(2, 2, 2), origin=-3)
    said = {"cases": [{"case": "a", "CT": "ct1.nii.gz", "PET": "pet1.nii.gz", "label": "label1.nii.gz"}]}
    dataset = described(folder / "d.yaml", said)
    with pytest.raises(GeometryMismatch, match=r"pet1\.nii\.gz: the channels do not match"):
        read_case(dataset, dataset.cases[0])
    dataset = described(folder / "d.yaml", {**said, "resample_channels": True})
    scan, _ = read_case(dataset, dataset.cases[0])
    assert np.allclose(scan.array[1], 3 * grid[0] + grid[2], atol=1e-4)
    volume(folder / "pet1.nii.gz", grid[0], origin=3)
    _, notes = read_channels_with_notes(dataset, dataset.cases[0])
    assert [kind for kind, _ in notes] == ["channel-coverage"]
    volume(folder / "pet1.nii.gz", grid[0], origin=90)
    with pytest.raises(GeometryMismatch, match=r"pet1\.nii\.gz: the channel overlaps nowhere with ct1"):
        read_case(dataset, dataset.cases[0])


def test_a_reference_elsewhere_is_refused(folder):
    volume(folder / "label1.nii.gz", classes(), origin=2)
    (folder / "d.csv").write_text("case,CT,label\na,ct1.nii.gz,label1.nii.gz\n")
    dataset = read_dataset(folder / "d.csv")
    with pytest.raises(GeometryMismatch, match="image and reference"):
        read_case(dataset, dataset.cases[0])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("case,CT,label\n../../etc,ct1.nii.gz,label1.nii.gz\n", "row 1 has no name"),
        ("case,CT,label\n,ct1.nii.gz,label1.nii.gz\n", "row 1 has no case"),
        ("case,CT,label\na,,label1.nii.gz\n", "nothing in column 'CT'"),
        ("case,CT,label,split\na,ct1.nii.gz,label1.nii.gz,maybe\n", "split 'maybe'"),
        ("case,label\na,label1.nii.gz\n", "no column holds images"),
        ("case,CT,label\na,ct1.nii.gz\n", "row 1 has more or fewer cells"),
        ("case,CT,label\na,ct1.nii.gz,label1.nii.gz\na,ct2.nii.gz,label2.nii.gz\n", "two cases are called 'a'"),
    ],
)
def test_a_wrong_row_is_named(folder, text, what):
    (folder / "d.csv").write_text(text)
    with pytest.raises(InputError, match=what):
        read_dataset(folder / "d.csv")


def test_a_wrong_key_is_named(folder):
    with pytest.raises(ConfigError, match="unknown key 'label'"):
        described(folder / "d.yaml", {"cases": [], "label": {"a": 1}})


@pytest.mark.needs_data("data/sarcoma")
def test_dicom_series_with_structures(tmp_path):
    """Two patients' CT with their RTSTRUCT; the NIfTI masks beside them are the oracle."""
    rows = []
    for patient in ("STS_002", "STS_008"):
        base = SARCOMA / "dicom" / patient / "CT"
        rows.append({"case": patient, "CT": str(base / "image"), "label": str(base / "mask" / "RS.dcm")})
    said = {"labels": {"tumor": {"value": 1, "structure": "GTV.*"}}, "cases": rows}
    dataset = described(tmp_path / "d.yaml", said)
    assert dataset.channels[0].modality == "CT"
    for case in dataset.cases:
        _, reference = read_case(dataset, case)
        assert mask_dice(SARCOMA / "nifti" / case.case_id / "CT_mask.nii.gz", reference) > 0.999
