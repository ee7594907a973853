import numpy as np
import pytest
from PIL import Image
from shared_data import DATA
from small_files import classes, noise, picture, volume

from medseg.data.audit import audit
from medseg.data.description import DatasetDescription
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import InputError


def test_pictures_with_label_pictures(tmp_path):
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8)
    cell = np.where(gray > 20, 255, 0).astype(np.uint8)
    for name in "ab":
        picture(tmp_path / "image" / f"{name}.png", gray)
        picture(tmp_path / "label" / f"{name}.png", cell)
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, dataset.dimensions, len(dataset.channels)) == ("pairs", 2, 1)
    assert [c.value for c in dataset.table] == [255]
    scan, reference = read_case(dataset, dataset.cases[0])
    assert scan.array.shape == (1, 8, 6, 1)
    assert ((reference.array == 255) == (scan.array[0] > 20)).all()


def test_objects_are_one_class(tmp_path):
    colors = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    ids = np.zeros((6, 8), np.uint16)
    ids[:2], ids[4:] = 1, 700
    picture(tmp_path / "images" / "a.png", colors)
    picture(tmp_path / "instances" / "a.png", ids)
    dataset = read_dataset(tmp_path)
    assert [(c.value, c.name) for c in dataset.table] == [(1, "object")]
    assert [c.name for c in dataset.channels] == ["red", "green", "blue"]
    scan, reference = read_case(dataset, dataset.cases[0])
    assert scan.channels == 3
    assert np.array_equal(reference.array[..., 0].T, ids > 0)


RED, BLUE = [255, 0, 0], [0, 0, 255]


def masks_in_color(folder, *, opaque=False):
    for number in (1, 2):
        colors = np.zeros((6, 8, 3), np.uint8)
        colors[:2], colors[4:, number:] = RED, BLUE
        picture(folder / "images" / f"{number}.png", np.arange(48, dtype=np.uint8).reshape(6, 8))
        alpha = np.full((6, 8, 1), 255, np.uint8)
        picture(folder / "masks" / f"{number}.png", np.dstack([colors, alpha]) if opaque else colors)


@pytest.mark.parametrize("table", [False, True])
def test_each_color_of_the_masks_is_a_class_and_a_person_is_told_to_name_them(tmp_path, table):
    masks_in_color(tmp_path, opaque=table)
    (tmp_path / "cases.csv").write_text("image,label\nimages/1.png,masks/1.png\nimages/2.png,masks/2.png\n")
    dataset = read_dataset(tmp_path / "cases.csv" if table else tmp_path)
    assert [(c.value, c.name) for c in dataset.table] == [(1, "color #0000ff"), (2, "color #ff0000")]
    assert "colors of the masks" in dataset.ambiguous[0]
    _, reference = read_case(dataset, dataset.cases[0])
    assert reference.array[..., 0].T[[0, 2, 5]].tolist() == [[2] * 8, [0] * 8, [0] + [1] * 7]


def test_colors_that_a_person_names_are_used(tmp_path):
    masks_in_color(tmp_path)
    colors = {"#000000": 0, "#ff0000": 1, "#0000ff": 2}
    dataset = read_dataset(tmp_path, DatasetDescription(labels={"vein": 2, "artery": 1}, colors=colors))
    _, reference = read_case(dataset, dataset.cases[0])
    assert reference.array[..., 0].T[[0, 2, 5]].tolist() == [[1] * 8, [0] * 8, [0] + [2] * 7]
    assert not dataset.ambiguous


def test_named_classes_without_colors_are_not_matched_to_colors_by_chance(tmp_path):
    masks_in_color(tmp_path)
    dataset = read_dataset(tmp_path, DatasetDescription(labels={"artery": 1, "vein": 2}))
    with pytest.raises(InputError, match="name its 'colors'"):
        read_case(dataset, dataset.cases[0])


def test_numbers_of_a_palette_are_the_classes(tmp_path):
    values = np.zeros((6, 8), np.uint8)
    values[:2], values[4:] = 1, 2
    picture(tmp_path / "images" / "a.png", values)
    (tmp_path / "masks").mkdir()
    image = Image.fromarray(values, "P")
    image.putpalette([0, 0, 0, *RED, *BLUE] + [0] * 759)
    image.save(tmp_path / "masks" / "a.png")
    dataset = read_dataset(tmp_path)
    assert [c.name for c in dataset.table] == ["class-1", "class-2"]
    assert np.array_equal(read_case(dataset, dataset.cases[0])[1].array[..., 0].T, values)


def test_volumes_in_paired_folders(tmp_path):
    volume(tmp_path / "imagesTr" / "a.b.nii.gz", noise())
    volume(tmp_path / "labelsTr" / "a.b.nii.gz", classes(values=(1, 3)))
    dataset = read_dataset(tmp_path)
    assert dataset.dimensions == 3
    assert dataset.cases[0].case_id == "a.b"
    assert [c.value for c in dataset.table] == [1, 3]


def test_files_that_do_not_pair_are_shown(tmp_path):
    picture(tmp_path / "images" / "a.png", np.zeros((4, 4), np.uint8))
    picture(tmp_path / "masks" / "b.png", np.ones((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"images images/a.png \(1\), labels masks/b.png \(1\), and no label has"):
        read_dataset(tmp_path)


def test_names_that_differ_in_their_ends_pair(tmp_path):
    picture(tmp_path / "images" / "a.png", np.zeros((4, 4), np.uint8))
    picture(tmp_path / "masks" / "a_mask.png", np.ones((4, 4), np.uint8))
    (case,) = read_dataset(tmp_path).cases
    assert (case.case_id, case.reference) == ("a", tmp_path / "masks" / "a_mask.png")


@pytest.mark.needs_data("data/membranes_em", "data/nuclei")
@pytest.mark.parametrize(
    ("name", "cases", "channels", "references"), [("membranes_em", 24, 1, "classes"), ("nuclei", 200, 3, "instances")]
)
def test_real_pictures(name, cases, channels, references):
    dataset = read_dataset(DATA / name)
    assert (len(dataset.labeled), len(dataset.channels), dataset.references) == (cases, channels, references)
    assert dataset.dimensions == 2


def test_one_image_of_other_channels_does_not_decide_for_all(tmp_path):
    for name in "abcd":
        shape = (6, 5, 4, 3) if name == "a" else (6, 5, 4)
        volume(tmp_path / "images" / f"{name}.nii.gz", noise(shape))
        volume(tmp_path / "labels" / f"{name}.nii.gz", classes())
    assert len(read_dataset(tmp_path).channels) == 1


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_values_of_a_mask_that_is_blocked_are_no_classes(tmp_path, ending):
    y, x = np.mgrid[:64, :64]
    for number in range(6):
        mask = (np.hypot(y - 30, x - 25 - number) < 12) * np.uint8(255)
        picture(tmp_path / "images" / f"c{number}.png", (x * 3 + number).astype(np.uint8))
        path = picture(tmp_path / "masks" / f"c{number}.png", mask)
        if number == 1:
            Image.fromarray(mask).save(tmp_path / "lossy.jpg", quality=60)
            picture(path, np.asarray(Image.open(tmp_path / "lossy.jpg")))
            if ending == "jpg":
                path.unlink()
                (tmp_path / "lossy.jpg").rename(path.with_suffix(".jpg"))
    data = read_dataset(tmp_path)
    assert [c.value for c in data.table] == [255]
    assert {f.case_id: f.kind for f in audit(data, jobs=1).findings if f.blocks} == {"c1": "no-label-map"}


@pytest.mark.parametrize("other", ["labels_corrected", "labels2", "rater2", "observer2", "predictions"])
def test_a_second_folder_of_labels_is_not_passed_over_without_a_word(tmp_path, other):
    for name in "ab":
        for folder in ("images", "labels", other):
            volume(tmp_path / folder / f"{name}.nii.gz", noise() if folder == "images" else classes())
    told = read_dataset(tmp_path).ambiguous
    assert any("labels" in line and other in line for line in told), told
