"""An image without a patient is shown as any viewer of images shows it, and the pixel drawn is that of the file."""

import io

import numpy as np
import pytest
from PIL import Image
from review.browser.phantoms import Phantom, write_results
from review.browser.served import Window, newest_labels, serving, until

from medseg.types import LabelClass, LabelTable

TABLE = LabelTable((LabelClass(1, "nucleus", color=(230, 60, 0)),))
WIDTH, HEIGHT = 60, 40
BRIGHT = np.s_[6:9, 30:33]  # left and low in the file, x along columns and y down rows
LABELED = np.s_[44:50, 4:8]


def as_png(folder, phantom):
    file = folder / f"{phantom.name}.png"
    Image.fromarray(phantom.scan[..., 0].T.astype(np.uint8)).save(file)
    return file


@pytest.fixture
def window(browser, tmp_path):
    pixels = np.full((WIDTH, HEIGHT, 1), 40, np.int16)
    pixels[BRIGHT] = 255
    labels = np.zeros(pixels.shape, np.uint8)
    labels[LABELED] = 1
    phantom = Phantom("cells", pixels, labels, np.eye(4), ())
    results, scans = write_results(tmp_path, [phantom], TABLE, write_scan=as_png)
    with serving(results, scans) as address:
        opened = Window.open(browser.new_context(viewport={"width": 1280, "height": 720}), address)
        opened.results, opened.labels = results, labels
        opened.go("case=cells&voxel=20,10,0&window=0,255", "cells")
        opened.wait(voxel="20,10,0")
        yield opened
        assert not opened.complaints


def frame(window):
    """Where the image is on the screen: its corner, and the size of a pixel of it."""
    box = window.canvas("axial")
    scale = min(box["width"] / WIDTH, box["height"] / HEIGHT)
    return (
        box["x"] + (box["width"] - WIDTH * scale) / 2,
        box["y"] + (box["height"] - HEIGHT * scale) / 2,
        scale,
    )


def center(window, x, y):
    left, top, scale = frame(window)
    return left + (x + 0.5) * scale, top + (y + 0.5) * scale


def test_the_screen_shows_the_file_as_it_is_stored(window):
    window.page.wait_for_timeout(200)
    shot = np.asarray(Image.open(io.BytesIO(window.page.screenshot())).convert("RGB")).astype(int)

    def seen(x, y):
        column, row = center(window, x, y)
        return shot[int(row), int(column)].tolist()

    assert seen(7, 31) == [255, 255, 255]
    assert seen(WIDTH - 8, HEIGHT - 32) == [40, 40, 40]
    red, green, blue = seen(46, 5)
    assert red > green + 30 > blue
    red, green, blue = seen(WIDTH - 47, HEIGHT - 6)
    assert red == green == blue
    window.press("o")
    window.page.wait_for_timeout(200)
    shot = np.asarray(Image.open(io.BytesIO(window.page.screenshot())).convert("RGB")).astype(int)
    left, top, scale = frame(window)
    edge = shot[int(top + 6 * scale), int(left + 44 * scale) - 3 : int(left + 44 * scale) + 4]
    assert (edge[:, 0] > edge[:, 1] + 60).any(), "the outline's left side"


def test_what_is_drawn_and_where_keys_lead_is_as_it_is_seen(window):
    window.press("4", *"[[[[[[[[[[[[[[[")
    window.page.mouse.click(*center(window, 7, 31))
    window.press("r")
    window.drag(*(center(window, *at) for at in ((9.6, 1.6), (13.4, 1.6), (13.4, 6.4), (9.6, 6.4), (9.6, 1.8))))
    window.save()
    expected = window.labels.copy()
    expected[7, 31] = 1
    expected[10:14, 2:7] = 1
    assert np.array_equal(np.asarray(newest_labels(window.results, "cells").dataobj).reshape(expected.shape), expected)
    window.page.focus("canvas[data-plane=axial]")
    window.press("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown")
    until(lambda: window.state("voxel") == "22,11,0")
    window.press("q")
    window.page.mouse.click(*center(window, 3, 37))
    until(lambda: window.state("voxel") == "3,37,0")
