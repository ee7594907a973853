"""A voxel drawn with the mouse is that voxel of the scan's own file, whatever the order of its axes, without WebGL."""

import io

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from review.browser.phantoms import Phantom, phantoms, write_results
from review.browser.served import Window, newest_labels, serving
from scipy import ndimage

PLANES = ("axial", "coronal", "sagittal")
ALL = phantoms()
# Every axis first, second and last, each kind of flip, straight and oblique.
SOME = tuple(ALL[n] for n in (0, 11, 22, 37, 53, 62, 76, 95))


def click_the_mark(window: Window, plane: str) -> None:
    """Click in the middle of the bright mark that is seen in a plane."""
    box = window.canvas(plane)
    seen = np.asarray(Image.open(io.BytesIO(window.page.screenshot(clip=box))).convert("RGB")).min(axis=2) > 250
    parts, count = ndimage.label(seen)
    assert count, f"no mark is seen in the {plane} plane"
    largest = 1 + int(np.argmax(ndimage.sum(seen, parts, range(1, count + 1))))
    y, x = ndimage.center_of_mass(parts == largest)
    window.page.mouse.click(box["x"] + x + 0.5, box["y"] + y + 0.5)


def draw_the_marks(window: Window, phantom: Phantom) -> None:
    """Draw one voxel in each plane, each of another class."""
    for number, (plane, mark) in enumerate(zip(PLANES, phantom.marks, strict=True), start=1):
        window.press("q")
        window.go(f"case={phantom.name}&voxel={','.join(map(str, mark))}&window=0,200", phantom.name)
        window.wait(voxel=",".join(map(str, mark)))
        window.press(str(number))
        window.page.wait_for_timeout(100)  # a frame or two
        window.press(str(3 + number), *"[[[[[[[[[[[[[[[")
        click_the_mark(window, plane)
    window.save()


def check(browser, tmp_path, chosen) -> None:
    results, scans = write_results(tmp_path, chosen)
    with serving(results, scans) as address:
        window = Window.open(browser.new_context(viewport={"width": 1200, "height": 760}), address)
        assert not window.page.evaluate("Boolean(document.createElement('canvas').getContext('webgl2'))")
        window.press(" ")  # labels hidden
        for phantom in chosen:
            window.go(f"case={phantom.name}", phantom.name)
            draw_the_marks(window, phantom)
            saved = newest_labels(results, phantom.name)
            expected = phantom.labels.copy()
            for number, mark in enumerate(phantom.marks, start=1):
                expected[mark] = number
            wrong = np.argwhere(np.asarray(saved.dataobj) != expected).tolist()
            assert saved.shape == phantom.scan.shape, phantom.name
            assert not wrong, f"{phantom.name}: {wrong[:6]} differ; the marks are at {phantom.marks}"
            scan = nib.load(scans / f"{phantom.name}.nii.gz")
            assert saved.affine.tobytes() == scan.affine.tobytes(), phantom.name
        assert not window.complaints


def test_the_voxel_clicked_is_the_voxel_of_the_file(browser, tmp_path):
    check(browser, tmp_path, SOME)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("half", [0, 1])
def test_in_all_orientations(browser, tmp_path, half):
    check(browser, tmp_path, ALL[48 * half : 48 * half + 48])
