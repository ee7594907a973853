"""Pictures: rows and columns where they belong, and pages as slices."""

import zlib

import numpy as np
import pytest
import tifffile
from damage import cut_short, overwrite
from PIL import Image
from shared_data import DATA

from medseg.errors import InputError, MedsegError
from medseg.io.read import load_scan, read_labels

gray = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)  # 5 rows, 7 columns


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_x_runs_along_columns(tmp_path, name):
    Image.fromarray(np.kron(gray, np.ones((8, 8), np.uint8))).save(tmp_path / name, quality=100)
    scan = load_scan(tmp_path / name)
    assert scan.array.shape == (1, 56, 40, 1)
    assert abs(int(scan.array[0, 52, 4, 0]) - 6) <= 2
    assert abs(int(scan.array[0, 4, 36, 0]) - 28) <= 2
    assert scan.source.format == "image2d"


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_color_is_channels(tmp_path, name):
    rgb = np.stack([gray, gray + 40, gray + 80], axis=-1)
    Image.fromarray(rgb).save(tmp_path / name)
    scan = load_scan(tmp_path / name)
    np.testing.assert_array_equal(scan.array[..., 0], rgb.transpose(2, 1, 0))


def test_palette_becomes_color_and_labels_stay_labels(tmp_path):
    picture = Image.fromarray((gray % 3).astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    assert load_scan(tmp_path / "a.png").channels == 3
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").array[..., 0], (gray % 3).T)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits(tmp_path, name):
    deep = gray.astype(np.uint16) * 1000
    if name == "a.png":
        Image.fromarray(deep).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, deep)
    scan = load_scan(tmp_path / name)
    assert scan.array.dtype == np.uint16
    np.testing.assert_array_equal(scan.array[0, ..., 0], deep.T)
    labels = read_labels(tmp_path / name)
    assert labels.table.largest == 34000
    np.testing.assert_array_equal(labels.array[..., 0], deep.T)


def test_pages_are_slices(tmp_path):
    stack = np.arange(3 * 5 * 7, dtype=np.uint16).reshape(3, 5, 7)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    np.testing.assert_array_equal(load_scan(tmp_path / "a.tif").array[0], stack.transpose(2, 1, 0))


def test_floats_in_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", gray.astype(np.float64) / 3)
    assert load_scan(tmp_path / "a.tif").array.dtype == np.float32


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path):
    rgba = np.dstack([gray] * 3 + [np.full_like(gray, 255)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert load_scan(tmp_path / "a.png").channels == 3
    rgba[0, 0, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="transparent"):
        load_scan(tmp_path / "a.png")


def test_turned_by_exif_is_noted(tmp_path):
    picture = Image.fromarray(gray)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert "EXIF" in load_scan(tmp_path / "a.jpg").source.notes[1]


def test_bits_of_a_bitmap(tmp_path):
    Image.fromarray((gray % 2).astype(bool)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").array[..., 0], (gray % 2).T)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_damage(tmp_path, name):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(tmp_path / name)
    cut_short(tmp_path / name, 0.5)
    with pytest.raises(MedsegError):
        load_scan(tmp_path / name)


def test_a_picture_that_promises_terabytes(tmp_path):
    Image.fromarray(gray).save(tmp_path / "a.png")
    overwrite(tmp_path / "a.png", 16, (2_000_000).to_bytes(4, "big") * 2)
    overwrite(tmp_path / "a.png", 29, zlib.crc32((tmp_path / "a.png").read_bytes()[12:29]).to_bytes(4, "big"))
    with pytest.raises(MedsegError, match="2000000 x 2000000"):
        load_scan(tmp_path / "a.png")


def test_a_tiff_of_tens_of_thousands_of_pages(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 4, 6), np.uint8), photometric="minisblack")
    assert load_scan(tmp_path / "a.tif").geometry.shape == (6, 4, 5)
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((20_001, 1, 2), np.uint8), photometric="minisblack", metadata=None)
    with pytest.raises(InputError, match="it has 20,001 pages"):
        load_scan(tmp_path / "b.tif")


def test_color_labels_are_refused(tmp_path):
    Image.fromarray(np.dstack([gray, gray, gray + 1])).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="one value for each pixel, not 3"):
        read_labels(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif"])
def test_gray_labels_saved_in_three_colors_are_read(tmp_path, suffix):
    Image.fromarray(np.dstack([gray] * 3)).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(read_labels(tmp_path / f"a.{suffix}").array[..., 0].T, gray)


def test_a_gif_is_an_image_and_an_animation_is_not(tmp_path):
    first = Image.fromarray(np.where(gray > 20, 255, 0).astype(np.uint8))
    first.save(tmp_path / "a.gif")
    assert np.array_equal(read_labels(tmp_path / "a.gif").array[..., 0].T > 0, gray > 20)
    first.save(tmp_path / "b.gif", save_all=True, append_images=[Image.fromarray(gray)])
    with pytest.raises(InputError, match="2 frames"):
        read_labels(tmp_path / "b.gif")


@pytest.mark.needs_data("data/nuclei", "data/nuclei_3d")
def test_real_pictures_and_their_objects():
    pictures = sorted((DATA / "nuclei" / "images").iterdir())[:10]
    for path in pictures:
        scan = load_scan(path)
        labels = read_labels(DATA / "nuclei" / "instances" / path.name)
        assert scan.geometry.matches(labels.geometry)
        # Nuclei are not as bright as what is around them, or the two do not lie on each other.
        gray_level = scan.array.mean(axis=0)
        assert gray_level[labels.array > 0].mean() != pytest.approx(gray_level[labels.array == 0].mean(), rel=0.05)
    stack, mask = load_scan(DATA / "nuclei_3d" / "img3d.tif"), read_labels(DATA / "nuclei_3d" / "mask3d.tif")
    assert stack.geometry.matches(mask.geometry)
    assert len(mask.table) == 51
    assert stack.array[0][mask.array > 0].mean() > 1.2 * stack.array[0][mask.array == 0].mean()
