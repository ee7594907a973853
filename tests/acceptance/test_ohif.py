"""What a radiologist sees: our DICOM SEG over the scan in OHIF, in the right place and colors."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_phantom import Grid, grid, uid, write_series
from peers.ohif import Viewer, chromium_page, serving_ohif
from peers.orthanc import running_orthanc
from reviewed_dicom import results_of
from scipy import ndimage
from small_labels import MODEL

from medseg.cli.app import run
from medseg.io.formats import Labeled
from medseg.io.nifti import write_labels
from medseg.io.read import load_scan
from medseg.review.opening import open_store
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

pytestmark = pytest.mark.peers
CENTER = np.array([-3.0, 7.0, 11.0])  # mm RAS+, of the phantom
LARGE, SMALL = np.array([45.0, 5.0, 3.0]), np.array([-40.0, 20.0, -6.0])
TABLE = LabelTable((LabelClass(1, "large"), LabelClass(2, "small")))
PIXEL = 2.0  # mm
SERIES = {
    "axial": grid("axial", columns=96, rows=96, slices=20, spacing=(PIXEL, PIXEL), step=5.0),
    "sagittal": grid("sagittal", columns=96, rows=96, slices=36, spacing=(PIXEL, PIXEL), step=5.0),
    "oblique": grid("oblique", columns=96, rows=96, slices=24, spacing=(PIXEL, PIXEL), step=5.0, reverse=True),
    "tilted": grid("axial", columns=96, rows=96, slices=20, spacing=(PIXEL, PIXEL), step=5.0, tilt=18.0),
    "odd": grid("axial", columns=93, rows=95, slices=20, spacing=(PIXEL, PIXEL), step=5.0),
}


def balls(world: np.ndarray) -> np.ndarray:
    """Class of points, mm RAS+."""
    large = np.linalg.norm(world - CENTER - LARGE, axis=-1) < 24
    small = np.linalg.norm(world - CENTER - SMALL, axis=-1) < 16
    return large + 2 * small


def hounsfield(world: np.ndarray) -> np.ndarray:
    """Two dense balls in a body of water."""
    x, y, z = np.moveaxis(world - CENTER, -1, 0)
    body = np.where((x / 90) ** 2 + (y / 70) ** 2 + (z / 120) ** 2 < 1, 0.0, -1000.0)
    return np.where(balls(world) > 0, 150.0, body)


def shown(header: pydicom.Dataset, _: int) -> None:
    header.WindowCenter, header.WindowWidth = 40, 400
    header.PatientBirthDate, header.PatientSex, header.SeriesNumber = "", "O", 1


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as orthanc, serving_ohif(orthanc) as address:
        yield orthanc, address


def exported(folder: Path, where: Grid, name: str, form: str) -> tuple[Geometry, str]:
    """Write a series and its labels, and export them by command line; return the grid and the study."""
    write_series(folder / "ct", where, name=name, values=hounsfield, edit=shown)
    geometry = load_scan(folder / "ct").geometry
    indices = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1)
    labels = LabelMap(balls(geometry.to_world(indices)).astype(np.uint8), geometry, TABLE)
    write_labels(labels, folder / "labels.nii.gz")
    arguments = ["export", folder / "labels.nii.gz", "--source", folder / "ct", "--format", form, "--manual"]
    assert run([*map(str, arguments), "--out", str(folder / "out"), "--quiet"]) == 0
    return geometry, uid(name, "study")


# Where slices have an odd number of pixels, OHIF 3.13 draws frames of bits wrong; see formats.BETWEEN_BYTES.
@pytest.mark.parametrize(
    ("kind", "form"), [*((kind, "dicom-seg") for kind in SERIES if kind != "odd"), ("odd", "dicom-seg-fractional")]
)
def test_the_segmentation_lies_over_what_it_shows(archive, tmp_path, monkeypatch, kind, form):
    orthanc, address = archive
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "secret")
    geometry, study = exported(tmp_path, SERIES[kind], f"ohif {kind}", form)
    assert run(["push", str(tmp_path), "--to", orthanc.dicom, "--quiet"]) == 0
    middles = [slice_through(geometry, CENTER + ball) for ball in (LARGE, SMALL)]
    with chromium_page() as page:
        viewer = Viewer.open(page, address, study)
        before = []
        for position in middles:
            viewer.go_to(position)
            before.append(viewer.picture())
        viewer.load("SEG")
        page.screenshot(path=tmp_path / "ohif.png")
        pixel = viewer.pixels_per_mm() * PIXEL
        for position, plain in zip(middles, before, strict=True):
            viewer.go_to(position)
            tinted = colorful(viewer.picture())
            dense = (plain > 150).all(axis=-1)  # 150 HU; water is at 102
            assert not colorful(plain).any()
            assert dense.sum() > 100 * pixel**2
            assert overlap(tinted, dense) > CLOSE
            # The same measure tells a segmentation that is one voxel off.
            for axis in (0, 1):
                assert overlap(np.roll(tinted, round(pixel), axis=axis), dense) < CLOSE


def test_what_a_reader_corrected_is_shown_as_it_was_drawn(archive, tmp_path, monkeypatch):
    """The model found the large ball alone; the reader drew the small one."""
    orthanc, address = archive
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", "secret")
    write_series(tmp_path / "series", SERIES["axial"], name="ohif corrected", values=hounsfield, edit=shown)
    scan = load_scan(tmp_path / "series")
    geometry = scan.geometry
    indices = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1)
    truth = balls(geometry.to_world(indices)).astype(np.uint8)
    found = LabelMap(np.where(truth == 1, truth, 0).astype(np.uint8), geometry, TABLE)
    out, case_id = results_of(tmp_path, Labeled(found, scan.source, MODEL))
    with open_store(out, create=True) as store:
        drawn = LabelMap(truth, geometry, store.labels(case_id).table)
        saved = store.save_labels(case_id, drawn, who="A. Reader", expected=0, origin="medseg review")
        store.verdict(case_id, kind="accept", revision=saved.number, who="A. Reader")
    command = ["review", "export", out, "--out", tmp_path / "corrected", "--format", "dicom-seg"]
    assert run([*map(str, command), "--quiet"]) == 0
    (tmp_path / "out").rename(tmp_path.parent / f"{tmp_path.name}-results")  # only the correction is sent
    assert run(["push", str(tmp_path), "--to", orthanc.dicom, "--quiet"]) == 0
    with chromium_page() as page:
        viewer = Viewer.open(page, address, uid("ohif corrected", "study"))
        places = [slice_through(geometry, CENTER + ball) for ball in (LARGE, SMALL)]
        plain = []
        for place in places:
            viewer.go_to(place)
            plain.append((viewer.picture() > 150).all(axis=-1))
        viewer.load("SEG")
        for place, dense in zip(places, plain, strict=True):
            viewer.go_to(place)
            assert overlap(colorful(viewer.picture()), dense) > CLOSE
        page.screenshot(path=tmp_path / "ohif.png")


CLOSE = 0.97


def slice_through(geometry: Geometry, world: np.ndarray) -> tuple[float, ...]:
    """Position, mm LPS+, of the first pixel of the slice nearest to a point."""
    k = round(float(geometry.to_voxel(world)[2]))
    return tuple((geometry.to_world((0, 0, k)) * [-1, -1, 1]).tolist())


def colorful(picture: np.ndarray) -> np.ndarray:
    """Which pixels are not gray, small specks apart, outlines filled."""
    colored = np.ptp(picture.astype(int), axis=-1) > 24
    return ndimage.binary_fill_holes(ndimage.binary_opening(colored))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    return float((a & b).sum() / (a | b).sum())
