"""Header and pixels of a scan against the card, before the network: each fact on its own."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medseg.infer.gate.scan import notes_on_card, refuse_channels, refuse_larger_scan, refuse_scan
from medseg.models.package import load_package
from medseg.prepare.acceptance import AcceptanceCard
from medseg.types import Geometry, Scan, Source

HIPPOCAMPUS, NUCLEI = load_package("hippocampus").card, load_package("nuclei").card
RNG = np.random.default_rng(0)


def scan(shape=(36, 50, 36), spacing=(1, 1, 1), modality=None, channels=1, **source) -> Scan:
    array = np.stack([gaussian_filter(RNG.normal(size=shape), 2) for _ in range(channels)])
    return Scan(array.astype(np.float32), Geometry(np.diag([*spacing, 1]), shape), modality, Source("array", **source))


def with_accepts(card, **keys):
    return card.model_copy(update={"input": card.input.model_copy(update={"accepts": AcceptanceCard(**keys)})})


@pytest.mark.parametrize(
    "suitable",
    [
        scan(),
        scan(modality="MR", body_part="BRAIN", laterality="R"),
        scan(body_part="Head Neck", laterality=""),
        scan((72, 100, 72), (0.5, 0.5, 0.5)),
        scan((12, 17, 12), (3.0001, 3.0001, 3.0001)),
        scan(modality="MRI", body_part="SKULL"),
    ],
)
def test_a_crop_around_a_hippocampus_passes(suitable) -> None:
    assert refuse_scan(suitable, HIPPOCAMPUS) is None


@pytest.mark.parametrize("part", ["Kopf", "CRÂNE", "SKULL", "UNKNOWN", "WHOLEBODY"])
def test_a_head_in_a_hospital_s_own_words_passes(part) -> None:
    assert refuse_scan(scan(body_part=part), HIPPOCAMPUS) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (scan((182, 218, 182)), "covers 182 x 218 x 182 mm; the model is for 31 x 40 x 24 mm to 42 x 58 x 45 mm"),
        (scan((12, 12, 12)), "covers 12 x 12 x 12 mm"),
        (scan((6, 50, 36), (6, 1, 1)), "voxels lie 6 x 1 x 1 mm apart"),
        (scan(modality="CT"), "is CT; the model is for MR"),
        (scan(body_part="EXTREMITY"), "EXTREMITY by its header; the model is for HEAD or BRAIN"),
        (scan(laterality="B"), "both sides by its header"),
        (scan((256, 256, 1), channels=3), "2D image of 256 x 256 x 1 voxels; the model is for volumes"),
    ],
)
def test_what_is_no_crop_around_a_hippocampus_is_refused_with_the_way_out(wrong, words) -> None:
    why = refuse_scan(wrong, HIPPOCAMPUS)
    assert why is not None
    assert words in why.reason
    assert why.fix.startswith("Give a whole head in T1-weighted MR, or a crop of about 36 x 50 x 36 mm around")
    assert "--anyway" in why.fix


def test_of_labels_their_scan_is_to_be_given() -> None:
    values = scan().array
    labels = Scan((values > 0.05).astype(np.uint8), Geometry(np.eye(4), values.shape[1:]))
    soft = labels.with_array(np.clip(values * 1000, 0, 1) * 200 + np.arange(36) / 100, labels.geometry)
    constant = labels.with_array(np.full_like(values, 7), labels.geometry)
    for refuse in (refuse_scan, refuse_larger_scan):
        for one in (labels, soft):
            assert refuse(one, HIPPOCAMPUS).fix.startswith("Give the scan that these labels are of; or add --anyway")
        assert refuse(constant, HIPPOCAMPUS).fix.startswith("Give a whole head in T1-weighted MR")


@pytest.mark.parametrize("size", [(36, 50, 36), (182, 218, 182)])
def test_volumes_in_time_are_not_for_a_model_of_one(size) -> None:
    """Neither as a crop nor as a head in which the regions would be found; what has fewer channels lacks some."""
    for refuse in (refuse_scan, refuse_larger_scan):
        why = refuse(scan(size, channels=3), HIPPOCAMPUS)
        assert why is not None
        assert why.reason == "the scan has 3 channels or times; the model is for 1 (T1)"
        assert why.fix == "Give an array of four axes with the channels first, in that order: (C, X, Y, Z)."
    assert refuse_channels(scan(), NUCLEI.input) is None


def test_the_field_of_view_counts_along_the_patient_s_axes_however_they_are_stored() -> None:
    turned = Geometry(np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]]), (50, 30, 36))
    array = scan((50, 30, 36)).array
    assert refuse_scan(Scan(array, turned), HIPPOCAMPUS) is None
    assert refuse_scan(Scan(array, Geometry(np.eye(4), (50, 30, 36))), HIPPOCAMPUS) is not None


def test_volumes_and_light_gray_images_are_not_for_the_model_of_nuclei() -> None:
    assert "the model is for 2D images" in refuse_scan(scan(), NUCLEI).reason
    light = scan((200, 200, 1)).with_array(
        1000 - np.abs(scan((200, 200, 1)).array) * 100, Geometry(np.eye(4), (200, 200, 1))
    )
    assert "gray scan is darker than" in refuse_scan(light, NUCLEI).reason
    dark = light.with_array(np.exp(20 * scan((200, 200, 1)).array), light.geometry)
    assert refuse_scan(dark, NUCLEI) is None


def test_a_pixel_that_is_nan_does_not_make_a_gray_image_a_color_one() -> None:
    gray = np.exp(20 * scan((200, 200, 1)).array).repeat(3, axis=0)
    gray[:, 100, 100] = np.nan
    assert refuse_scan(Scan(gray, Geometry(np.eye(4), (200, 200, 1))), NUCLEI) is None


def test_what_a_card_does_not_state_is_not_checked_and_that_is_said_once() -> None:
    silent = HIPPOCAMPUS.model_copy(
        update={"input": HIPPOCAMPUS.input.model_copy(update={"accepts": None, "body_parts": ()})}
    )
    assert refuse_scan(scan((90, 90, 90), (2, 2, 2), body_part="FOOT"), silent) is None
    assert refuse_scan(scan(modality="CT"), silent) is not None
    assert len(notes_on_card(silent.input)) == 1
    assert notes_on_card(HIPPOCAMPUS.input) == ()


def test_intensities_that_are_no_hounsfield_units_are_refused() -> None:
    channel = HIPPOCAMPUS.input.channels[0].model_copy(update={"values": "HU", "modality": "CT"})
    ct = HIPPOCAMPUS.model_copy(
        update={"input": HIPPOCAMPUS.input.model_copy(update={"channels": (channel,), "accepts": None})}
    )
    plain = scan()
    windowed = plain.with_array(np.clip(plain.array * 400 + 128, 0, 255), plain.geometry)
    assert "no Hounsfield units" in refuse_scan(windowed, ct).reason
    assert refuse_scan(plain.with_array(plain.array * 2000 - 500, plain.geometry), ct) is None


def picture(values, slope=0.0):
    """A 2D image of bytes, of values of shape (3, X, Y), on a gradient of so many deviations."""
    values = values / values.std() + slope * np.linspace(0, 1, values.shape[1])[:, None]
    scaled = np.round((values - values.min()) / np.ptp(values) * 255).astype(np.uint8)
    return Scan(scaled[..., np.newaxis], Geometry(np.eye(4), (*values.shape[1:], 1)))


@pytest.mark.parametrize("slope", [0, 3])
@pytest.mark.parametrize("sigma", [0, 1, 3, 8])
@pytest.mark.parametrize("draw", ["random", "standard_normal", "standard_exponential"])
@pytest.mark.parametrize("kind", ["gray", "tinted", "color"])
def test_noise_is_no_picture_of_nuclei(kind, draw, sigma, slope) -> None:
    noise = gaussian_filter(getattr(np.random.default_rng(3), draw)((3, 200, 230)), (0, sigma, sigma))
    if kind != "color":
        noise = noise[:1] * {"gray": np.ones((3, 1, 1)), "tinted": np.array([1, 0.8, 0.9])[:, None, None]}[kind]
    assert refuse_scan(picture(noise, slope), NUCLEI) is not None


@pytest.mark.parametrize(("noise", "blur"), [(0, 0.7), (0, 3), (0.3, 1)])
def test_stained_nuclei_pass_sharp_blurred_and_with_noise(noise, blur) -> None:
    """Dark disks on a light ground of its own texture, in colors that agree."""
    rng = np.random.default_rng(0)
    x, y = np.mgrid[:300, :260]
    tissue = 0.1 * gaussian_filter(rng.normal(size=x.shape), 6) / 0.05
    for i, j, r in zip(rng.integers(0, 300, 30), rng.integers(0, 260, 30), rng.uniform(5, 12, 30), strict=True):
        tissue -= 2.0 * ((x - i) ** 2 + (y - j) ** 2 < r**2)
    tissue = gaussian_filter(tissue, blur)
    stained = np.stack([tissue, 0.8 * tissue, 0.6 * tissue])
    assert refuse_scan(picture(stained + noise * rng.normal(size=stained.shape)), NUCLEI) is None


def test_a_constant_color_beside_others_is_no_reason() -> None:
    picture = np.exp(20 * scan((200, 200, 1), channels=3).array)
    picture[2] = 0
    assert refuse_scan(Scan(picture, Geometry(np.eye(4), (200, 200, 1))), with_accepts(NUCLEI, dimensions=2)) is None


def test_the_checks_before_the_network_import_no_library_of_networks() -> None:
    code = (
        "import sys; from medseg.infer.gate.scan import refuse_scan; from medseg.models.package import load_package;"
        "load_package('hippocampus'); print({'torch', 'monai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
