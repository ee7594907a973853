"""Mistakes that once trained in silence, each as a dataset on disk."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from small_files import picture, volume

from medseg.data.audit import audit
from medseg.data.layouts import read_dataset
from medseg.data.splits import sides, split_cases
from medseg.review.audit import audit as audit_verb

SHAPE = (24, 22, 16)
GRID = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
CASES = 8


def ball(number, radius=5):
    center = np.array([11, 10, 7]) + np.random.default_rng(number).integers(-3, 4, 3)
    return ((GRID - center) ** 2).sum(-1) <= radius**2


def image_of(number, level=50.0):
    return np.random.default_rng(100 + number).normal(0, 10, SHAPE) + level * ball(number)


def write(folder, label_of, image=image_of):
    for number in range(CASES):
        volume(folder / "images" / f"c{number}.nii.gz", image(number).astype(np.float32))
        volume(folder / "labels" / f"c{number}.nii.gz", label_of(number))
    return folder


def findings(folder, **options):
    return [(f.kind, f.case_id, f.message) for f in audit(read_dataset(folder), **options).findings]


def graded(number):
    distance = np.linalg.norm(GRID - np.argwhere(ball(number)).mean(0), axis=-1)
    return (255 * np.clip(1.5 - distance / 6, 0, 1)).astype(np.uint8)


def as_image(number):
    return np.clip(image_of(number) + 60, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("label", "words"), [(graded, "scattered between others"), (as_image, "scattered")])
def test_graded_masks_and_images_given_as_labels_are_blocked(tmp_path, label, words):
    result = audit(read_dataset(write(tmp_path, label)))
    assert len(result.blocked) == CASES
    assert all(f.kind == "no-label-map" and words in f.message for f in result.findings if f.blocks)


def test_values_of_what_is_no_label_map_are_no_classes_that_are_missing(tmp_path):
    write(tmp_path, lambda number: graded(number) if number else ball(number).astype(np.uint8))
    assert not [case for kind, case, _ in findings(tmp_path) if kind == "rare-class"]


def test_the_image_itself_is_named(tmp_path):
    whole = [np.rint(image_of(n) + 100).clip(1).astype(np.uint8) for n in range(CASES)]
    result = audit(read_dataset(write(tmp_path, lambda n: whole[n], lambda n: whole[n])))
    assert set(result.blocked.values()) == {"The label holds the image's own values."}


@pytest.mark.parametrize("quality", [75, 95, 100])
def test_jpeg_masks_are_blocked(tmp_path, quality):
    for number in range(4):
        mask = Image.fromarray(np.uint8(255) * ball(number)[..., 7].T.repeat(8, 0).repeat(8, 1))
        gray = np.random.default_rng(number).integers(0, 256, np.asarray(mask).shape, np.uint8)
        picture(tmp_path / "images" / f"c{number}.png", gray)
        stream = io.BytesIO()
        mask.rotate(20).save(stream, "JPEG", quality=quality)
        (tmp_path / "masks").mkdir(exist_ok=True)
        (tmp_path / "masks" / f"c{number}.jpg").write_bytes(stream.getvalue())
    result = audit(read_dataset(tmp_path))
    assert len(result.blocked) == 4
    assert all("JPEG" in why for why in result.blocked.values())


def test_1_and_255_may_be_one_class_or_two(tmp_path):
    write(tmp_path, lambda n: ball(n).astype(np.uint8) * (255 if n % 2 else 1))
    result = audit(read_dataset(tmp_path))
    assert len(result.blocked) == CASES
    assert result.blocked["c0"].startswith("Labels hold 1 (in 4 cases) and 255 (in 4)")
    for settings in (["dataset.values={255: 1}"], ["dataset.ignore=255"], ["dataset.labels={a: 1, b: 255}"]):
        assert audit_verb(tmp_path, settings=settings).blocked == {}


@pytest.mark.parametrize("off", [(3,), (0, 2, 4, 6)])
@pytest.mark.parametrize("settings", [["dataset.channels={scan: CT}"], []])
def test_ct_with_another_zero_is_blocked(tmp_path, off, settings):
    def scan(number):
        image = image_of(number, 60.0) + 1024 * (number in off)
        image[:4] -= 1000
        return image

    write(tmp_path, lambda n: ball(n).astype(np.uint8), scan)
    result = audit_verb(tmp_path, settings=settings)
    assert set(result.blocked) == {f"c{n}" for n in off}
    assert "+1,02" in result.blocked[f"c{off[0]}"]


def two_classes(rare):
    def label(number):
        found = ball(number).astype(np.uint8)
        if number in rare:
            found[ball(number, 2)] = 2
        return found

    return label


def test_a_class_of_one_case_is_trained_on(tmp_path):
    data = read_dataset(write(tmp_path, two_classes(())))
    held_out = split_cases(data.labeled, folds=4, fold=1, seed=0).validation
    number = int(held_out[0][1:])
    data = read_dataset(write(tmp_path, two_classes((number,))))
    split = split_cases(data.labeled, folds=4, fold=1, seed=0)
    result = audit(data, side=sides(split))
    assert result.kept == {held_out[0]: "class-2"}
    assert ("kept-in-training", held_out[0]) in {(f.kind, f.case_id) for f in result.findings}
    assert result.blocked == {}


def test_a_class_only_of_the_datasets_own_held_out_cases_is_said(tmp_path):
    write(tmp_path, two_classes((7,)))
    rows = ["case,image,label,split"]
    rows += [f"c{n},images/c{n}.nii.gz,labels/c{n}.nii.gz,{'validation' if n == 7 else 'train'}" for n in range(CASES)]
    (tmp_path / "d.csv").write_text("\n".join(rows))
    (tmp_path / "d.yaml").write_text(json.dumps({"cases": "d.csv", "labels": {"organ": 1, "core": 2}}))
    data = read_dataset(tmp_path / "d.yaml")
    result = audit(data, side=sides(split_cases(data.labeled, folds=5, fold=0, seed=0)))
    assert ("untrained-class", "No training case has 'core', only held-out ones: c7.") in {
        (f.kind, f.message) for f in result.findings
    }


def test_an_outline_antialiased_by_half_a_pixel_is_no_class(tmp_path):
    for number in range(4):
        large = Image.fromarray(np.uint8(255) * ball(number, 8)[..., 7].T.repeat(7, 0).repeat(7, 1)).rotate(15)
        small = np.asarray(large).reshape(77, 2, 84, 2).mean((1, 3)).astype(np.uint8)
        picture(tmp_path / "masks" / f"c{number}.png", small)
        gray = np.random.default_rng(number).integers(0, 256, small.shape, np.uint8)
        picture(tmp_path / "images" / f"c{number}.png", gray)
    data = read_dataset(tmp_path)
    assert [c.value for c in data.table] == [63, 127, 191, 255]
    result = audit(data)
    assert len(result.blocked) == 4
    assert all("3 of the label's 4 values are scattered" in why for why in result.blocked.values())


def in_case_3(change):
    return lambda number: change(two_values(number)) if number == 3 else two_values(number)


def two_values(number):
    """A large ball of class 1 and a small one of class 2."""
    labels = ball(number)
    return np.where(ball(number, 2), 2, labels).astype(np.uint8)


def test_values_exchanged_in_one_case_are_found_by_their_volumes(tmp_path):
    write(tmp_path, in_case_3(lambda labels: np.array([0, 2, 1], np.uint8)[labels]))
    found = [case for kind, case, _ in findings(tmp_path) if kind == "unusual-volume"]
    assert found == ["c3", "c3"]


def test_labels_without_mistakes_have_no_unusual_volume_and_no_frame(tmp_path):
    write(tmp_path, two_values)
    assert not {kind for kind, _, _ in findings(tmp_path)} & {"unusual-volume", "inverted-label"}


@pytest.mark.parametrize(
    ("label", "cases"),
    [
        (lambda number: np.where(ball(number), 0, 255).astype(np.uint8), "in 8 of 8 cases"),
        (lambda number: ball(number).astype(np.uint8) ^ np.uint8(number == 3), "in 1 of 8 cases"),
    ],
)
def test_inverted_masks_are_said(tmp_path, label, cases):
    write(tmp_path, label)
    (message,) = [message for kind, _, message in findings(tmp_path) if kind == "inverted-label"]
    assert cases in message
