from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_files import classes, noise, volume

from medseg.config.load import build
from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.examine import examine
from medseg.data.fingerprint import CaseFingerprint, Fingerprint, Intensities, take_fingerprint
from medseg.data.layouts import read_dataset
from medseg.data.mirror_pairs import MirrorPair
from medseg.data.plan import make_plan
from medseg.data.plan_text import explanation, plan_text
from medseg.errors import InputError, UsageError
from medseg.training.config import TrainConfig
from medseg.types import LabelClass, LabelTable


def dataset(modality="MR", names=("organ",), dimensions=3) -> Dataset:
    table = LabelTable(tuple(LabelClass(k, name) for k, name in enumerate(names, 1)))
    return Dataset("Test", Path("x"), "msd", (Channel("a", modality),), table, (DatasetCase("a", ()),), dimensions)


def fingerprint(shape=(100, 100, 100), spacing=(1.0, 1.0, 1.0), cases=10, cropped=None) -> Fingerprint:
    one = [CaseFingerprint(f"{n}", shape, spacing, cropped or shape, {}) for n in range(cases)]
    return Fingerprint(tuple(one), (Intensities(90.0, 30.0, 91.0, -20.0, 180.0),), {})


@pytest.mark.parametrize(
    ("name", "shape", "spacing", "cases", "patch", "batch"),
    [
        ("hippocampus", (36, 50, 35), (1.0, 1.0, 1.0), 260, (40, 56, 40), 9),
        ("brain tumor", (140, 171, 137), (1.0, 1.0, 1.0), 484, (128, 128, 128), 2),
        ("spleen", (187, 512, 512), (1.6, 0.79, 0.79), 41, (64, 192, 160), 2),
    ],
)
def test_published_plans_of_nnunet(name, shape, spacing, cases, patch, batch):
    """3d_fullres plans of nnU-Net for the Decathlon, with its 8 GB."""
    plan = make_plan(dataset(names=("a", "b")), fingerprint(shape, spacing, cases), preset="8gb")
    assert sorted(plan.values["input"]["patch"]) == sorted(patch)
    assert plan.values["sampling"]["batch"] == batch
    assert plan.values["network"]["arguments"]["features"][:4] == [32, 64, 128, 256]


def test_spacing_is_the_median_but_for_thick_slices():
    spacings = [(0.5, 0.5, 5.0)] * 8 + [(0.5, 0.5, 2.5)] * 2
    cases = [CaseFingerprint(f"{n}", (400, 400, 30), s, (400, 400, 30), {}) for n, s in enumerate(spacings)]
    seen = Fingerprint(tuple(cases), (Intensities(0, 1, 0, -1, 1),), {})
    plan = make_plan(dataset(), seen, preset="8gb")
    expected = float(np.percentile([s[2] for s in spacings], 10))
    assert plan.values["input"]["spacing"] == pytest.approx([0.5, 0.5, expected])
    assert "10th percentile" in plan.reasons["input.spacing"]


def test_ct_is_clipped_by_the_foreground_and_others_are_scaled_alone():
    seen = fingerprint()
    ct = make_plan(dataset("CT"), seen).values["input"]["channels"][0]["normalization"]
    assert ct == {"scheme": "clip_zscore", "lower": -20.0, "upper": 180.0, "mean": 90.0, "std": 30.0}
    assert make_plan(dataset("MR"), seen).values["input"]["channels"][0]["normalization"] == {"scheme": "zscore"}


def test_scans_of_mostly_nothing_are_cropped():
    values = make_plan(dataset(), fingerprint(cropped=(60, 80, 80))).values
    assert values["input"]["crop_to_nonzero"]
    assert values["input"]["channels"][0]["normalization"]["nonzero_only"]


def test_classes_with_sides_are_not_mirrored():
    seen = fingerprint()
    paired = dataset(names=("kidney_left", "kidney_right"))
    assert make_plan(paired, seen, preset="8gb").values["augment"]["flip"] == ["y", "z"]
    assert make_plan(dataset(), seen, preset="8gb").values["augment"]["flip"] == ["x", "y", "z"]
    # Sagittal slices: the network's x and y are the patient's y and z, neither of which has sides.
    sagittal = fingerprint((20, 200, 200), (4.0, 1.0, 1.0), 10)
    flat = make_plan(paired, sagittal, preset="8gb", configuration="2d").values
    assert flat["input"]["axis_order"] == [1, 2, 0]
    assert flat["augment"]["flip"] == ["x", "y"]
    axial = make_plan(paired, fingerprint((200, 200, 20), (1.0, 1.0, 4.0), 10), configuration="2d").values
    assert axial["augment"]["flip"] == ["y"]


def test_what_the_labels_show_is_not_mirrored_either_and_a_person_overrules():
    seen = replace(fingerprint(), mirrored=(MirrorPair("class-1", "class-2", 0, 9, 10),))
    unnamed = dataset(names=("class-1", "class-2"))
    plan = make_plan(unnamed, seen, preset="8gb")
    assert plan.values["augment"]["flip"] == ["y", "z"]
    assert plan.values["mirror"] == "none"
    assert plan.reasons["augment.flip"] == (
        "Not x: 'class-1' and 'class-2' are each other's mirror image in 9 of 10 labels. Mirrored, one would be taught "
        "as the other; plan.mirror overrules this."
    )
    overruled = make_plan(unnamed, seen, preset="cpu", mirror=["x"])
    assert overruled.values["augment"]["flip"] == ["x"]
    assert overruled.values["mirror"] == "left-right"
    assert make_plan(unnamed, fingerprint(), preset="8gb", mirror=[]).values["augment"]["flip"] == []


def test_flat_images_with_sides_are_not_mirrored_sideways():
    flat = dataset(names=("left lung", "right lung"), dimensions=2)
    assert make_plan(flat, fingerprint((200, 200, 1))).values["augment"]["flip"] == ["y"]


def test_low_resolution_sees_a_quarter():
    seen = fingerprint((512, 512, 500), (0.8, 0.8, 1.0), 50)
    full = make_plan(dataset("CT"), seen, preset="8gb").values
    low = make_plan(dataset("CT"), seen, preset="8gb", configuration="3d_lowres").values
    assert min(np.array(low["input"]["spacing"]) / full["input"]["spacing"]) > 1.3
    shape = np.array((512, 512, 500)) * np.array((0.8, 0.8, 1.0)) / low["input"]["spacing"]
    assert np.prod(low["input"]["patch"]) / np.prod(shape) > 0.25
    with pytest.raises(InputError, match="already covers a quarter"):
        make_plan(dataset(), fingerprint((36, 50, 35), (1.0, 1.0, 1.0), 50), configuration="3d_lowres")


@pytest.mark.parametrize("preset", ["cpu", "8gb", "24gb", "40gb", "80gb"])
@pytest.mark.parametrize("configuration", ["3d_fullres", "2d"])
def test_every_plan_is_a_valid_configuration(preset, configuration):
    seen = fingerprint((200, 180, 160), (0.7, 0.7, 1.5), 20)
    data = dataset("CT")
    plan = make_plan(data, seen, preset=preset, configuration=configuration)
    build(TrainConfig, plan.values)
    text = plan_text(plan, data, seen, command="medseg train x")
    assert text.startswith("# medseg train x\n")
    assert yaml.safe_load(text) == plan.values
    assert all(len(line) <= 120 for line in text.splitlines())
    assert "input.patch = [" in explanation(plan, data, seen)


def test_more_memory_gives_larger_patches():
    seen = fingerprint((500, 500, 500))
    plans = [make_plan(dataset(), seen, preset=preset) for preset in ("cpu", "8gb", "24gb", "80gb")]
    sizes = [np.prod(plan.values["input"]["patch"]) for plan in plans]
    assert sizes == sorted(set(sizes))


def test_on_a_processor_patches_are_smaller_than_small_scans():
    seen = fingerprint((36, 50, 35), (1.0, 1.0, 1.0), 100)
    values = make_plan(dataset(), seen, preset="cpu").values
    assert values["input"]["patch"] == [32, 40, 32]
    assert values["network"]["arguments"]["features"] == [16, 32, 64, 128]
    assert make_plan(dataset(), seen, preset="8gb").values["input"]["patch"] == [40, 56, 40]


def test_muon_is_planned_where_it_was_measured():
    seen = fingerprint()
    for preset, configuration, name in (
        ("cpu", "3d_fullres", "muon"),
        ("cpu", "2d", "adamw"),
        ("8gb", "3d_fullres", "sgd"),
        ("8gb", "2d", "sgd"),
    ):
        plan = make_plan(dataset(), seen, preset=preset, configuration=configuration)
        assert plan.values["optimizer"]["name"] == name


def test_prediction_is_mirrored_where_training_mirrors_left_and_right():
    seen = fingerprint()
    assert make_plan(dataset(), seen, preset="cpu").values["mirror"] == "left-right"
    assert make_plan(dataset(names=("kidney_left", "kidney_right")), seen, preset="cpu").values["mirror"] == "none"
    assert make_plan(dataset(), seen, preset="8gb").values["mirror"] == "none"


def test_what_does_not_exist_is_refused():
    seen = fingerprint((36, 50, 35), (1.0, 1.0, 1.0), 5)
    with pytest.raises(UsageError, match="no preset '9gb'"):
        make_plan(dataset(), seen, preset="9gb")
    with pytest.raises(UsageError, match="no configuration '3d_fullres' for this dataset"):
        make_plan(dataset(dimensions=2), seen, configuration="3d_fullres")


def test_the_fingerprint_of_known_scans(tmp_path, caplog):
    images = [noise((8, 6, 5), seed=n) for n in range(2)]
    for image in images:
        image[:3] = 0
    labels = classes((8, 6, 5), values=(0, 0, 0, 0, 1, 2))
    for n, image in enumerate(images):
        volume(tmp_path / "images" / f"{n}.nii.gz", image, spacing=(1.0, 2.0, 3.0))
        volume(tmp_path / "labels" / f"{n}.nii.gz", labels, spacing=(1.0, 2.0, 3.0))
    (tmp_path / "images" / "broken.nii.gz").write_bytes(b"no")
    volume(tmp_path / "labels" / "broken.nii.gz", labels)
    data = read_dataset(tmp_path)
    seen = take_fingerprint(data, examine(data))
    assert [c.case_id for c in seen.cases] == ["0", "1"]
    assert "broken" in seen.skipped
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    folder = str(tmp_path / "images") + "/"
    assert line == f"broken skipped: {seen.skipped['broken'].replace(folder, '').rstrip('.')}."
    assert seen.cases[0].shape == (8, 6, 5)
    assert seen.cases[0].cropped_shape == (5, 6, 5)
    assert seen.cases[0].spacing == pytest.approx((1.0, 2.0, 3.0))
    assert seen.cases[0].voxels == {"class-1": 30, "class-2": 30}
    inside = np.concatenate([image[labels > 0] for image in images])
    assert seen.intensities[0].mean == pytest.approx(inside.mean(), rel=1e-5)
    assert seen.intensities[0].high == pytest.approx(np.percentile(inside, 99.5), rel=1e-5)


def test_a_case_named_after_its_patient_is_skipped_without_the_name(tmp_path, caplog):
    for name in ("0", "1", "Doe^Jane"):
        volume(tmp_path / "images" / f"{name}.nii.gz", noise((8, 6, 5), seed=1))
        volume(tmp_path / "labels" / f"{name}.nii.gz", classes((8, 6, 5)))
    (tmp_path / "images" / "Doe^Jane.nii.gz").write_bytes(b"no")
    data = read_dataset(tmp_path)
    take_fingerprint(data, examine(data))
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert line.startswith("file-")
    assert " skipped: its file: " in line
    assert "Doe" not in line


def with_volumes(voxels: dict[str, int], shape=(200, 160, 100), spacing=(0.6, 0.6, 0.6)) -> Fingerprint:
    return replace(fingerprint(shape, spacing), cases=(CaseFingerprint("a", shape, spacing, shape, voxels),))


def test_a_grid_that_shows_classes_is_coarser_where_a_patch_holds_little_but_the_smallest():
    large = with_volumes({"organ": 200_000})
    fine = make_plan(dataset(), large).values["input"]
    shown = make_plan(dataset(), large, shows_classes=True)
    spacing, patch = np.array(shown.values["input"]["spacing"]), np.prod(shown.values["input"]["patch"])
    assert 200_000 / np.prod(fine["patch"]) > 0.1
    assert (spacing == spacing[0]).all()
    assert 0.6 < spacing[0] <= 1.2
    assert spacing[0] == 1.2 or 200_000 * (0.6 / spacing[0]) ** 3 <= 0.1 * patch
    assert "smallest class, organ" in shown.reasons["input.spacing"]


def test_voxels_become_at_most_twice_as_long():
    whole = with_volumes({"organ": 3_000_000})
    assert make_plan(dataset(), whole, shows_classes=True).values["input"]["spacing"] == [1.2, 1.2, 1.2]
    thick = with_volumes({"organ": 300_000}, (256, 256, 20), (1.0, 1.0, 6.0))
    spacing = make_plan(dataset(), thick, shows_classes=True).values["input"]["spacing"]
    assert spacing[2] == 6.0, "the axis that is coarse already stays"
    assert 1.0 < spacing[0] <= 2.0


@pytest.mark.parametrize("voxels", [{"organ": 200_000, "lesion": 500}, {"organ": 0}, {}])
def test_a_grid_stays_where_a_class_is_small_or_none_was_drawn(voxels):
    seen = with_volumes(voxels)
    assert make_plan(dataset(), seen, shows_classes=True) == make_plan(dataset(), seen)
