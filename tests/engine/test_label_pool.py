"""What is labeled and what is not, in datasets of every layout and in folders of scans."""

import json
import shutil
import zipfile

import nibabel as nib
import numpy as np
import pytest
from networks_for_tests import tiny_card
from small_series import small_series
from tiny_dataset import make_case, write_msd

from medseg.engine.label_pool import find_pool
from medseg.engine.stages.segment import Segment
from medseg.errors import InputError, UsageError
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.prepare.card import ChannelCard, InputCard


def segment(folder, *channels):
    channels = channels or ("MRI",)
    arguments = {"features": [4, 8]}
    network = build_network("unet", channels=len(channels), classes=2, dimensions=3, arguments=arguments)
    seen = InputCard(channels=tuple(ChannelCard(name=name) for name in channels), patch=(8, 8, 8))
    card = tiny_card(network=NetworkCard(name="unet", arguments=arguments), input=seen)
    return Segment(Segment.Options(model=str(write_package(folder, card, network.state_dict()).folder)))


def scan(path, number=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(make_case(number)[0], np.eye(4)), path)


def ids(cases):
    return [case.case_id for case in cases]


def test_scans_beside_those_with_labels_are_to_choose_from(tmp_path):
    data = write_msd(tmp_path / "data", 3)
    for number in (21, 20):
        scan(data / "imagesTs" / f"new_{number}.nii.gz", number)
    scan(tmp_path / "heap" / "case_00.nii.gz", 30)
    model = segment(tmp_path / "model")
    pool = find_pool(data, [tmp_path / "heap"], model)
    assert ids(pool.labeled) == ["case_00", "case_01", "case_02"]
    first, *others = pool.unlabeled
    assert first.case_id.startswith("case_00-")  # a name that a labeled case has
    assert first.path == tmp_path / "heap" / "case_00.nii.gz"
    assert ids(others) == ["new_20", "new_21"]
    assert str(pool) == "3 labeled cases, 3 scans to choose from"
    assert np.array_equal(others[0].read().array[0], make_case(20)[0])
    assert np.array_equal(pool.labeled[2].read().array[0], make_case(2)[0])
    assert ids(find_pool(data, [data], model).unlabeled) == ["new_20", "new_21"]  # labeled scans and labels are none


def test_a_folder_that_was_named_and_holds_no_scan_is_refused_by_its_name(tmp_path):
    """Beside a dataset that is all labeled it is not the dataset's fault, and beside others it is not overlooked."""
    data, model = write_msd(tmp_path / "data", 2), segment(tmp_path / "model")
    scan(tmp_path / "heap" / "new.nii.gz")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.write(tmp_path / "heap" / "new.nii.gz", "inside.nii.gz")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "readme.txt").write_text("nothing to see")
    for places in (["empty"], ["text"], ["heap", "empty"]):
        with pytest.raises(InputError) as error:
            find_pool(data, [tmp_path / place for place in places], model)
        assert error.value.what == "no scan was found there"
        assert error.value.where == f"--scans {tmp_path / places[-1]}"
    assert len(find_pool(data, [tmp_path / "heap"], model).unlabeled) == 1
    assert len(find_pool(data, [tmp_path / "packed.zip"], model).unlabeled) == 1
    with pytest.raises(InputError, match="every case has a label"):
        find_pool(data, [data], model)


def test_a_test_set_with_labels_is_not_to_choose_from(tmp_path):
    data = write_msd(tmp_path / "data", 2)
    scan(data / "imagesTs" / "new.nii.gz")
    (data / "labelsTs").mkdir()
    with pytest.raises(InputError, match=r"every case has a label.*none to choose") as error:
        find_pool(data, [], segment(tmp_path / "model"))
    assert "--scans" in error.value.fix


def test_images_without_a_label_among_pairs(tmp_path):
    data = write_msd(tmp_path / "data", 4)
    (data / "dataset.json").unlink()
    (data / "labelsTr" / "case_02.nii.gz").unlink()
    pool = find_pool(data, [], segment(tmp_path / "model"))
    assert ids(pool.labeled) == ["case_00", "case_01", "case_03"]
    assert ids(pool.unlabeled) == ["case_02"]


def nnunet(data):
    for number in range(3):
        folder = "imagesTs" if number == 2 else "imagesTr"
        for channel in range(2):
            scan(data / folder / f"c{number}_000{channel}.nii.gz", 10 * channel + number)
    (data / "labelsTr").mkdir()
    nib.save(nib.Nifti1Image(make_case(0)[1], np.eye(4)), data / "labelsTr" / "c0.nii.gz")
    described = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "bright": 1, "dark": 2},
        "file_ending": ".nii.gz",
        "numTraining": 2,
    }
    (data / "dataset.json").write_text(json.dumps(described))


def test_nnunet_with_two_channels(tmp_path):
    nnunet(tmp_path / "data")
    pool = find_pool(tmp_path / "data", [], segment(tmp_path / "model", "T1", "T2"))
    assert ids(pool.labeled) == ["c0"]
    assert ids(pool.unlabeled) == ["c1", "c2"]
    for number, case in enumerate(pool.unlabeled, start=1):
        array = case.read().array
        assert np.array_equal(array, [make_case(number)[0], make_case(10 + number)[0]])
    with pytest.raises(UsageError, match="channels are T1, T2, in this order, and the model's are T2, T1"):
        find_pool(tmp_path / "data", [], segment(tmp_path / "other", "T2", "T1"))


def test_a_folder_of_scans_alone_has_no_labels(tmp_path):
    scan(tmp_path / "scans" / "a.nii.gz")
    small_series(tmp_path / "scans" / "series")
    (tmp_path / "scans" / "bad.nii.gz").write_bytes((tmp_path / "scans" / "a.nii.gz").read_bytes()[:200])
    pool = find_pool(tmp_path / "scans", [], segment(tmp_path / "model"))
    assert not pool.labeled
    assert [case.path.name for case in pool.unlabeled] == ["a.nii.gz", "series"]
    assert [(outcome.state, outcome.source) for outcome in pool.corrupt] == [("failed", "bad.nii.gz")]


@pytest.mark.parametrize("what", ["a damaged description", "labels of other names", "nothing"])
def test_what_may_be_a_dataset_is_never_taken_for_scans_alone(tmp_path, what):
    data = write_msd(tmp_path / "data", 2)
    if what == "a damaged description":
        (data / "dataset.json").write_text("{")
    elif what == "labels of other names":
        (data / "dataset.json").unlink()
        for path in (data / "labelsTr").iterdir():
            path.rename(path.with_name(path.name.replace("case_", "drawn_by_ada_")))
    else:
        shutil.rmtree(data)
        data.mkdir()
    with pytest.raises(InputError, match={"nothing": "no scan was found"}.get(what)):
        find_pool(data, [], segment(tmp_path / "model"))
