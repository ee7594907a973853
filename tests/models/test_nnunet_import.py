import json
import pickle
import zipfile

import nibabel as nib
import numpy as np
import pytest
import torch
from network_checks import RunsAtLoading
from nnunet_plans import architecture, settings
from nnunet_reference import NnUNet, randomize
from objects_for_tests import scan_of
from shared_data import SHARED

from medseg.errors import FormatLimitation, MedsegError, ModelError, UsageError
from medseg.infer.engines.torch import TorchEngine
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.nifti import read_scan
from medseg.models.adapters.nnunet_plans import Axes
from medseg.models.importing import import_model
from medseg.models.package import load_package

PEER = SHARED / "peers" / "nnunet_hippocampus"
IMAGES = SHARED / "data" / "hippocampus" / "imagesTr"
needs_peer = pytest.mark.needs_data("peers/nnunet_hippocampus", "data/hippocampus")

FEATURES = [4, 6, 8]
KERNELS = [[1, 3, 3], [3, 3, 3], [3, 3, 3]]
STRIDES = [[1, 1, 1], [1, 2, 2], [2, 2, 2]]


def results(folder, *, d=3, residual=False, transpose=(0, 1, 2), norm="instance", folds=1, labels=None, **changes):
    """Write a results folder as nnU-Net leaves it, and return it with its networks."""
    cut = slice(3 - d, 3)
    name = "2d" if d == 2 else "3d_fullres"
    root = folder / "Dataset001_Test" / f"nnUNetTrainer__nnUNetPlans__{name}"
    root.mkdir(parents=True)
    kind = "ResidualEncoderUNet" if residual else "PlainConvUNet"
    channels = {"normalization_schemes": ["CTNormalization", "ZScoreNormalization"], "use_mask_for_norm": [False, True]}
    network = architecture(kind, d, FEATURES, (1, 2, 3), (1, 2))
    plain = settings(kind, d, [3.0, 0.9, 1.1][cut], [4, 16, 24][cut])
    measured = {"percentile_00_5": -100.0, "percentile_99_5": 200.0, "mean": 40.0, "std": 25.0}
    plans = {
        "dataset_name": "Dataset001_Test",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": list(transpose),
        "configurations": {
            "parent": plain | channels | {"architecture": network} | changes,
            name: {"inherits_from": "parent", "batch_size": 2},
        },
        "foreground_intensity_properties_per_channel": {"0": measured, "1": measured},
    }
    dataset = {
        "channel_names": {"0": "CT", "1": "T1"},
        "labels": labels or {"background": 0, "liver": 1, "tumor": 2},
        "regions_class_order": [1, 2],
        "numTraining": 7,
    }
    (root / "plans.json").write_text(json.dumps(plans))
    (root / "dataset.json").write_text(json.dumps(dataset))
    networks = []
    for fold in range(folds):
        regions = any(isinstance(v, list) for v in dataset["labels"].values())
        classes = len(dataset["labels"]) - regions
        kernels, strides = [k[cut] for k in KERNELS], [s[cut] for s in STRIDES]
        network = NnUNet(d, 2, classes, FEATURES, kernels, strides, [1, 2, 3], [1, 2], residual, norm)
        networks.append(randomize(network, fold))
        (root / f"fold_{fold}").mkdir()
        checkpoint = {
            "network_weights": network.state_dict(),
            "logging": {"dice": [np.float32(0.5), np.float64(0.25)], "epochs": [np.int64(3)]},
            "init_args": {"configuration": name},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1),
        }
        torch.save(checkpoint, root / f"fold_{fold}" / "checkpoint_final.pth")
    return root, networks


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("transpose", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_the_imported_network_is_the_same_function(tmp_path, residual, transpose, norm):
    root, (network,) = results(tmp_path, residual=residual, transpose=transpose, norm=norm)
    package = import_model(root, "test", out=tmp_path / "out")
    card = package.card.input
    # What nnU-Net sees is (Z, Y, X), permuted; what medseg sees is (X, Y, Z).
    shown = np.random.default_rng(0).normal(size=(1, 2, *card.patch)).astype(np.float32)
    theirs = torch.from_numpy(shown).permute(0, 1, 4, 3, 2).permute(0, 1, *(2 + t for t in transpose))
    assert list(theirs.shape[2:]) == [4, 16, 24]
    with torch.inference_mode():
        expected = network(theirs)
    back = [transpose.index(a) for a in (2, 1, 0)]
    expected = expected.permute(0, 1, *(2 + b for b in back)).numpy()
    assert np.abs(TorchEngine(package, "cpu").run(shown) - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize(("transpose", "order"), [((0, 1, 2), (0, 1, 2)), ((2, 0, 1), (1, 2, 0))])
def test_two_dimensional_networks_see_the_same_slices(tmp_path, transpose, order):
    root, (network,) = results(tmp_path, d=2, transpose=transpose)
    package = import_model(root, "flat", out=tmp_path / "out")
    card = package.card.input
    assert card.axis_order == order
    assert sorted(card.patch) == [1, 16, 24]
    assert card.patch[2] == 1
    assert card.spacing[2] is None
    scan = np.random.default_rng(0).normal(size=(2, *(24, 16, 24))).astype(np.float32)
    ours = scan.transpose(0, *(1 + a for a in order))[:, : card.patch[0], : card.patch[1], :1]
    # The same slice the way nnU-Net takes it: first axis of the permuted (Z, Y, X).
    theirs = scan.transpose(0, 3, 2, 1).transpose(0, *(1 + t for t in transpose))[:, 0, :16, :24]
    with torch.inference_mode():
        expected = network(torch.from_numpy(theirs.copy())[None]).numpy()
    got = TorchEngine(package, "cpu").run(np.ascontiguousarray(ours)[None])[..., 0]
    swapped = 2 - transpose[1] > 2 - transpose[2]
    expected = expected.swapaxes(2, 3) if swapped else expected
    assert np.abs(got - expected).max() < 1e-3 * np.abs(expected).max()


def test_the_card_says_what_nnunet_does(tmp_path):
    root, _ = results(tmp_path, transpose=(1, 0, 2))
    (root / "dataset_fingerprint.json").write_text(json.dumps({"spacings": [[2.0, 0.7, 0.8], [5.0, 0.9, 0.6]]}))
    card = import_model(root, "test", out=tmp_path / "out").card
    assert [c.name for c in card.classes] == ["liver", "tumor"]
    assert card.input.orientation == "stored"
    assert card.input.crop_to_nonzero
    # nnU-Net's axes are (Y, Z, X): patch (4, 16, 24), spacing (3, 0.9, 1.1), mirrored along the first two.
    assert card.input.patch == (24, 4, 16)
    assert card.input.spacing == (1.1, 3.0, 0.9)
    assert card.input.mirror_axes == (1, 2)
    assert card.input.expected_spacing == ((0.6, 0.7, 2.0), (0.8, 0.9, 5.0))
    first, second = (c.normalization for c in card.input.channels)
    assert (first.scheme, first.lower, first.upper, first.mean, first.std) == ("clip_zscore", -100, 200, 40, 25)
    assert (second.scheme, second.nonzero_only) == ("zscore", True)
    assert card.input.channels[0].modality == "CT"
    assert card.limits
    assert import_model(root, "test", out=tmp_path / "ras", orientation="RAS").card.limits == ()


def test_folds_are_averaged_as_scores(tmp_path):
    root, _ = results(tmp_path, folds=3)
    whole = import_model(root, "all", out=tmp_path / "all")
    singles = [import_model(root, "one", folds=[str(f)], out=tmp_path / f"{f}") for f in range(3)]
    shown = np.random.default_rng(0).normal(size=(1, 2, *whole.card.input.patch)).astype(np.float32)
    mean = np.mean([TorchEngine(p, "cpu").run(shown) for p in singles], axis=0)
    assert whole.card.ensemble_members == 3
    assert np.allclose(TorchEngine(whole, "cpu").run(shown), mean, atol=1e-4)


def test_regions_become_labels_in_nnunets_order(tmp_path):
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    package = import_model(results(tmp_path, labels=labels)[0], "regions", out=tmp_path / "out")
    assert package.card.regions == (1, 2)
    assert [(c.value, c.name) for c in package.card.classes] == [(1, "whole"), (2, "core")]
    array = np.random.default_rng(0).uniform(50, 150, size=(2, 24, 16, 4)).astype(np.float32)
    scan = scan_of(array, (1.1, 0.9, 3.0))
    prediction = Predictor(package, InferOptions(probabilities=True, engine="torch", device="cpu")).segment(scan)
    expected = np.where(prediction.probabilities[1] > 0.5, 2, np.where(prediction.probabilities[0] > 0.5, 1, 0))
    clear = np.abs(prediction.probabilities - 0.5).min(axis=0) > 1e-4
    assert np.array_equal(prediction.labels.array[clear], expected[clear])


def test_zip_and_store(tmp_path):
    root, _ = results(tmp_path)
    archive = tmp_path / "exported.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in root.rglob("*"):
            out.write(path, path.relative_to(tmp_path))
    import_model(archive, "zipped")
    assert load_package("zipped").card.title == "Dataset001_Test, nnU-Net 3d_fullres"
    with pytest.raises(UsageError, match="there is a model called 'zipped'"):
        import_model(archive, "zipped")
    import_model(archive, "zipped", overwrite=True)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root, _ = results(tmp_path)
    path = root / "fold_0" / "checkpoint_final.pth"
    torch.save({"network_weights": {}, "init_args": RunsAtLoading()}, path)
    with pytest.raises(ModelError, match="without running code"):
        import_model(root, "bad", out=tmp_path / "out")
    path.write_bytes(pickle.dumps(RunsAtLoading(), protocol=2))
    with pytest.raises(ModelError, match="without running code"):
        import_model(root, "bad", out=tmp_path / "out")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"previous_stage": "3d_lowres"}, ModelError, "the first, '3d_lowres', is not beside it"),
        ({"normalization_schemes": ["Own", "Own"]}, FormatLimitation, "normalized by Own"),
        ({"resampling_fn_data": "own"}, FormatLimitation, "resampled by own"),
        ({"architecture": {"network_class_name": "x.Primus", "arch_kwargs": {}}}, FormatLimitation, "is a Primus"),
        ({"patch_size": None}, ModelError, "lacks something"),
    ],
)
def test_what_cannot_be_run_the_same_way_is_refused(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        import_model(results(tmp_path, **change)[0], "bad", out=tmp_path / "out")


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "note.txt").write_text("nothing")
    for path, error in (
        (tmp_path, FormatLimitation),
        (tmp_path / "note.txt", FormatLimitation),
        (tmp_path / "no", UsageError),
    ):
        with pytest.raises(error):
            import_model(path, "x", out=tmp_path / "out")
    with pytest.raises(UsageError, match="cannot be a model's name"):
        import_model(tmp_path, "../x")
    root, _ = results(tmp_path)
    with pytest.raises(MedsegError, match="fold 4 has no"):
        import_model(root, "x", folds=["4"], out=tmp_path / "out")


def test_several_configurations_at_once_are_refused_with_the_way_out(tmp_path):
    root, _ = results(tmp_path)
    with pytest.raises(FormatLimitation, match="2d,3d_fullres are several configurations") as error:
        import_model(root, "x", configuration="2d,3d_fullres", out=tmp_path / "out")
    assert "average their probabilities" in error.value.fix
    assert not (tmp_path / "out").exists()


def test_members_that_disagree_are_noticed(tmp_path):
    """An ensemble of the same network twice agrees with itself; of two strangers it does not."""
    root, _ = results(tmp_path / "two", folds=2)
    scan = scan_of(np.random.default_rng(0).normal(50, 30, (2, 24, 30, 20)).astype(np.float32))
    strangers = import_model(root, "test", out=tmp_path / "strangers")
    (root / "fold_1" / "checkpoint_final.pth").write_bytes((root / "fold_0" / "checkpoint_final.pth").read_bytes())
    twins = import_model(root, "test", out=tmp_path / "twins")
    options = InferOptions(engine="torch", device="cpu")
    dice = []
    for package in (strangers, twins):
        prediction = Predictor(package, options).segment(scan)
        dice.append({value: uncertainty.ensemble_dice for value, uncertainty in prediction.uncertainty.items()})
    assert set(dice[1].values()) == {1.0}
    assert 0 < min(dice[0].values()) < 0.9


def test_axes_of_the_usual_plan():
    assert Axes.from_transpose([0, 1, 2], 3) == Axes((2, 1, 0), (0, 1, 2))
    assert Axes.from_transpose([0, 1, 2], 2) == Axes((1, 0), (0, 1, 2))


CASES = [
    (kind, path.name)
    for kind in ("plain", "aniso", "plain_mirror")
    for path in sorted((PEER / "predictions" / kind).glob("*.nii.gz"))
]


@needs_peer
def test_labels_agree_with_nnunets_own(tmp_path):
    """One case of each kind in the fast suite; all of them in the slow one."""
    check(tmp_path, [next(c for c in CASES if c[0] == kind) for kind in ("plain", "aniso")])


@pytest.mark.slow
@needs_peer
def test_labels_agree_with_nnunets_own_in_every_case(tmp_path):
    check(tmp_path, CASES)


def check(tmp_path, cases):
    package = import_model(PEER, "hippocampus-nnunet", out=tmp_path)
    for kind, name in cases:
        mirror = "all" if kind == "plain_mirror" else "none"
        source = PEER / "inputs_aniso" / name.replace(".nii", "_0000.nii") if kind == "aniso" else IMAGES / name
        options = InferOptions(mirror=mirror, engine="torch", device="cpu")
        got = Predictor(package, options).segment(read_scan(source)).labels.array
        expected = np.asanyarray(nib.load(PEER / "predictions" / kind / name).dataobj)
        assert np.mean(got == expected) >= 0.999, (kind, name)
