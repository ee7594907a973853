import numpy as np
import pytest
import torch
from small_files import volume
from tiny_dataset import make_case, train_config

from medseg.config.load import build
from medseg.data.description import DatasetDescription
from medseg.data.layouts import read_dataset
from medseg.data.mirror_pairs import MirrorPair
from medseg.data.splits import split_cases
from medseg.errors import ConfigError, InputError
from medseg.training.audit_run import _summary, audited
from medseg.training.samples.inputs import _check_mirroring, gather
from medseg.training.training_run import TrainingRun

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("blocked", "advisory", "says"),
    [
        (0, 2, "2 findings should be checked"),
        (1, 0, "1 case is skipped"),
        (3, 1, "3 cases are skipped, and 1 finding should be checked"),
    ],
)
def test_only_what_there_is_is_said(blocked, advisory, says):
    assert _summary(blocked, advisory) == says


def described(folder, **said):
    return read_dataset(folder, build(DatasetDescription, {"labels": {"bright": 1, "dark": 2}, **said}))


@pytest.fixture
def pairs(tmp_path):
    """Eight cases, one of which has voxels of value 9."""
    for number in range(8):
        image, labels = make_case(number)
        if number == 3:
            labels[0] = 9
        volume(tmp_path / "data" / "images" / f"c{number}.nii.gz", image)
        volume(tmp_path / "data" / "labels" / f"c{number}.nii.gz", labels)
    return tmp_path / "data"


def test_a_corrected_description_is_audited_again(pairs, tmp_path):
    data = described(pairs)
    split = split_cases(data.labeled, folds=4, fold=0, seed=0)
    assert audited(data, split, tmp_path).blocked.keys() == {"c3"}
    written = (tmp_path / "audit.json").stat().st_mtime_ns
    assert audited(data, split, tmp_path).blocked.keys() == {"c3"}
    assert (tmp_path / "audit.json").stat().st_mtime_ns == written
    assert audited(described(pairs, ignore=9), split, tmp_path).blocked == {}
    assert audited(data, split, tmp_path).blocked.keys() == {"c3"}


def test_classes_that_mirror_each_other_are_remembered(tmp_path):
    for number in range(6):
        image, labels = make_case(number)
        volume(tmp_path / "images" / f"c{number}.nii.gz", np.where(labels == 2, 1000 - image, image))
        volume(tmp_path / "labels" / f"c{number}.nii.gz", labels)
    data = described(tmp_path)
    split = split_cases(data.labeled, folds=3, fold=0, seed=0)
    first, again = (audited(data, split, tmp_path / "run").mirrored for _ in range(2))
    assert first == again == (MirrorPair("bright", "dark", 0, 6, 6),)
    with pytest.raises(ConfigError, match=r"along x would teach one class as another.*mirror image in 6 of 6"):
        _check_mirroring(data, train_config(), first)
    _check_mirroring(data, train_config(plan={"mirror": ["x", "y"]}), first)
    _check_mirroring(data, train_config(augment={"flip": ["y"]}), first)


def write_cases(folder, change):
    """Eight cases, of which the fourth has other labels."""
    for number in range(8):
        image, labels = make_case(number)
        volume(folder / "images" / f"c{number}.nii.gz", image)
        volume(folder / "labels" / f"c{number}.nii.gz", change(image, labels) if number == 3 else labels)
    return read_dataset(folder)


def test_values_read_off_a_mask_that_is_none_are_no_classes(tmp_path):
    data = write_cases(tmp_path / "data", lambda image, _: np.clip((image - 300) / 4, 1, 255).astype(np.uint8))
    assert len(data.table) == 2
    config = train_config(augment={"flip": ["y"]}, split={"folds": 4})
    assert "c3" not in {case.case_id for case in gather(TrainingRun(data, config, tmp_path / "run", CPU)).cases}


def test_a_class_of_blocked_cases_alone_is_refused(tmp_path):
    data = write_cases(tmp_path / "data", lambda _, labels: np.where(labels == 2, 3, labels)[1:])
    assert len(data.table) == 3
    config = train_config(augment={"flip": ["y"]}, split={"folds": 4})
    with pytest.raises(InputError, match=r"is in no label that can be trained on"):
        gather(TrainingRun(data, config, tmp_path / "run", CPU))


@pytest.mark.parametrize(("shifted", "refused"), [((), True), ((2,), False)])
def test_only_what_holds_in_every_label_is_refused(tmp_path, shifted, refused):
    for number in range(8):
        image, labels = make_case(number)
        image = np.where(labels == 2, 1000 - image, image)
        if number in shifted:  # beside each other no longer
            labels = np.where(labels == 2, np.roll(labels, -5, axis=1), labels)
            labels = np.where(labels == 2, 0, labels).astype(np.uint8)
            labels[2:8, 2:8, 2:4] = 2
        volume(tmp_path / "data" / "images" / f"c{number}.nii.gz", image)
        volume(tmp_path / "data" / "labels" / f"c{number}.nii.gz", labels)
    run = TrainingRun(described(tmp_path / "data"), train_config(split={"folds": 4}), tmp_path / "run", CPU)
    if refused:
        with pytest.raises(ConfigError, match="mirror image in 8 of 8"):
            gather(run)
    else:
        assert len(gather(run).cases) == 6
        split = split_cases(run.dataset.labeled, folds=4, fold=0, seed=0)
        assert audited(run.dataset, split, run.out).mirrored == (MirrorPair("bright", "dark", 0, 7, 8),)
