"""Names that may bring a label together with another case's image, or hide one label behind another."""

import numpy as np
import pytest
from public_layouts import drawn, flat, labels, nifti, photo, scan

from medseg.data.layouts import read_dataset
from medseg.errors import InputError


def make(root, images, masks):
    for number, name in enumerate((*images, *masks)):
        is_mask = number >= len(images)
        if name.endswith(".png"):
            flat(root / name, drawn(number) if is_mask else photo(number)[..., 0])
        else:
            nifti(root / name, labels(number) if is_mask else scan(number))
    return root


def pairs_of(root, images, masks):
    data = read_dataset(make(root, images, masks))
    paths = {case.images[0].relative_to(root).as_posix(): case.reference for case in data.labeled}
    found = {image: mask.relative_to(root).as_posix() for image, mask in paths.items()}
    return found, " ".join(data.ambiguous)


def test_a_label_of_one_site_is_not_that_of_another_site_s_image(tmp_path):
    found, said = pairs_of(
        tmp_path,
        ["A/images/1.png", "B/images/1.png", "B/images/2.png"],
        ["A/masks/1.png", "A/masks/2.png", "B/masks/1.png"],
    )
    assert found == {"A/images/1.png": "A/masks/1.png", "B/images/1.png": "B/masks/1.png"}
    assert "no image was found for: A/masks/2.png" in said


def test_a_label_of_another_number_is_not_the_only_image_s_of_its_folder(tmp_path):
    found, said = pairs_of(
        tmp_path,
        ["images/site1/1.png", "images/site2/2.png", "images/site2/3.png"],
        ["masks/site1/2.png", "masks/site2/1.png", "masks/site2/3.png"],
    )
    assert found == {"images/site2/3.png": "masks/site2/3.png"}
    assert "no image was found for" in said


def test_two_eyes_are_not_two_channels(tmp_path):
    make(tmp_path, ["1_L.png", "1_R.png", "2_L.png", "2_R.png"], ["1_mask.png", "2_mask.png"])
    with pytest.raises(InputError, match="no label has an image's name"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("ends", [("1", "2"), ("day0", "day7")])
def test_numbered_images_of_a_case_are_said_to_be_taken_as_channels(tmp_path, ends):
    images = [f"p{patient}_{end}.nii.gz" for patient in (1, 2) for end in ends]
    _, said = pairs_of(tmp_path, images, ["p1_seg.nii.gz", "p2_seg.nii.gz"])
    assert "are taken as its channels, not as cases or slices" in said


def test_labels_that_nothing_distinguishes_are_said(tmp_path):
    masks = [f"labels/{reader}/{number}.nii.gz" for reader in "ab" for number in (1, 2)]
    found, said = pairs_of(tmp_path, ["images/1.nii.gz", "images/2.nii.gz"], masks)
    assert found["images/1.nii.gz"] == "labels/a/1.nii.gz"
    assert "'labels/a/1.nii.gz', 'labels/b/1.nii.gz'" in said


def test_a_folder_an_organ_is_a_class_each(tmp_path):
    images = [f"ct/{number}.nii.gz" for number in range(1, 5)]
    make(tmp_path, images, [])
    for number in range(1, 5):
        for place, organ in enumerate(("Leber", "Milz")):
            mask = np.zeros((16, 12, 8), np.uint8)
            mask[8 * place : 8 * place + 3, 1:3] = 1
            nifti(tmp_path / organ / f"{number}.nii.gz", mask)
        nifti(tmp_path / f"ct/{number}.nii.gz", scan(number, (16, 12, 8)))
    data = read_dataset(tmp_path)
    assert [entry.name for entry in data.table] == ["Leber", "Milz"]
    assert len(data.labeled) == 4


@pytest.mark.parametrize("ends", [("", "_masks"), ("_images", "_masks"), ("Scans", "GT")])
def test_folders_of_images_and_of_labels_called_after_sites_are_no_channels(tmp_path, ends):
    images, masks = ([f"{site}{end}/{n}.nii.gz" for site in ("oslo", "utrecht") for n in (1, 2, 3)] for end in ends)
    found, _ = pairs_of(tmp_path, images, masks)
    assert found == dict(zip(images, masks, strict=True))
    data = read_dataset(tmp_path)
    assert [channel.name for channel in data.channels] == ["image"]
    assert all(case.group is None for case in data.cases)


def test_a_site_without_labels_is_no_channel_of_another(tmp_path):
    images = [f"{site}/{n}.nii.gz" for site in "ab" for n in (1, 2)]
    found, _ = pairs_of(tmp_path, images, ["a_masks/1.nii.gz", "a_masks/2.nii.gz"])
    assert found == {"a/1.nii.gz": "a_masks/1.nii.gz", "a/2.nii.gz": "a_masks/2.nii.gz"}
    assert len(read_dataset(tmp_path).cases) == 4


@pytest.mark.parametrize(("one", "other"), [("orig", "cropped"), ("CT", "MR"), ("raw", "resampled")])
def test_versions_of_an_image_are_of_one_patient(tmp_path, one, other):
    images = [f"{folder}/pat{n}_{folder}.nii.gz" for folder in (one, other) for n in range(1, 5)]
    pairs_of(tmp_path, images, [image.replace(".nii", "_seg.nii") for image in images])
    groups = {case.images[0].relative_to(tmp_path).as_posix(): case.group for case in read_dataset(tmp_path).cases}
    assert all(groups[a] is not None and groups[a] == groups[a.replace(one, other)] for a in images[:4])
    assert len(set(groups.values())) == 4


def test_a_batch_of_cases_is_no_patient(tmp_path):
    images = [f"Training Batch {1 + n % 2}/volume-{n}.nii.gz" for n in range(6)]
    pairs_of(tmp_path, images, [image.replace("volume", "segmentation") for image in images])
    assert all(case.group is None for case in read_dataset(tmp_path).cases)


def test_scans_of_two_modalities_that_are_one_channel_are_said(tmp_path):
    names = [f"{kind}/{{}}/{kind.lower()}_{n}.nii.gz" for kind in ("CT", "MR") for n in range(3)]
    found, said = pairs_of(tmp_path, [n.format("images") for n in names], [n.format("labels") for n in names])
    assert len(found) == 6
    assert "images of CT and MR, by their folders, are one channel, 'image', of one model" in said


def test_scans_of_one_modality_are_not_spoken_of(tmp_path):
    names = [f"site{n}/{{}}/CT/{n}.nii.gz" for n in range(3)]
    _, said = pairs_of(tmp_path, [n.format("images") for n in names], [n.format("labels") for n in names])
    assert "one channel" not in said
