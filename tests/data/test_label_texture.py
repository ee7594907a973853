import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from medseg.data.label_texture import is_no_label_map, scattered_values


def drawn(value=255, second=0):
    image = Image.new("L", (256, 256))
    draw = ImageDraw.Draw(image)
    draw.ellipse((50, 60, 150, 165), fill=value)
    draw.rectangle((175, 175, 225, 211), fill=second or value)
    return image


def as_labels(image):
    return np.asarray(image)[..., None]


def jpeg(quality):
    stream = io.BytesIO()
    drawn().save(stream, "JPEG", quality=quality)
    return as_labels(Image.open(stream))


NO_LABELS = {
    **{f"jpeg {quality}": jpeg(quality) for quality in (50, 75, 95)},
    "antialiased": as_labels(drawn().resize((128, 128), Image.Resampling.BILINEAR)),
    "overshooting": as_labels(drawn().resize((128, 128), Image.Resampling.LANCZOS)),
    "two classes, antialiased": as_labels(drawn(3, 9).resize((100, 100), Image.Resampling.BILINEAR)),
    "graded": as_labels(drawn().filter(ImageFilter.GaussianBlur(10))),
    "image": np.random.default_rng(0).normal(100, 20, (24, 24, 16)).astype(np.uint8),
}


@pytest.mark.parametrize("name", NO_LABELS)
def test_what_is_no_label_map_has_scattered_values(name):
    assert is_no_label_map(*scattered_values(NO_LABELS[name]))


def blocks():
    labels = np.zeros((40, 40, 20), np.uint16)
    places = [(x, y, z) for x in range(0, 40, 4) for y in range(0, 40, 4) for z in range(0, 20, 5)]
    for number, (x, y, z) in enumerate(places, start=1):
        labels[x : x + 4, y : y + 4, z : z + 5] = number
    return labels


def single_voxels():
    labels = np.zeros((40, 40, 20), np.uint8)
    places = np.random.default_rng(1).permutation(40 * 40 * 20)[:60]
    labels.ravel()[places] = 1 + np.arange(60) % 6
    return labels


def thin():
    """Lines one voxel thick, straight and slanted, a class each."""
    labels = np.zeros((60, 60, 60), np.uint8)
    for number in range(1, 8):
        labels[number * 7, :, number * 7] = number
        labels[np.arange(50), np.arange(50) + number, number * 7 + 3] = number
    return labels


def nested():
    """Shells about two voxels thick around each other."""
    grid = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), -1)
    return np.clip(8 - np.linalg.norm(grid - 20, axis=-1) // 2.2, 0, None).astype(np.uint8)


@pytest.mark.parametrize("make", [blocks, single_voxels, thin, nested])
def test_a_label_map_has_none_however_small_or_thin_its_classes_are(make):
    assert not is_no_label_map(*scattered_values(make()))


def test_values_are_counted():
    assert scattered_values(blocks()) == (0, 400)
    assert scattered_values(np.zeros((3, 3, 3), np.uint8)) == (0, 0)
