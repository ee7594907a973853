from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch

import medseg
from medseg.models.card import ClassCard, ModelCard, NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.models.training_card import TrainingCard
from medseg.prepare.card import ChannelCard, InputCard

# Oblique, with the first axis from right to left and the second and third swapped.
TURN = np.array([[np.cos(0.3), -np.sin(0.3), 0.0], [np.sin(0.3), np.cos(0.3), 0.0], [0.0, 0.0, 1.0]])
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = TURN @ np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.5], [0.0, 1.2, 0.0]])
OBLIQUE[:3, 3] = (40.0, -25.0, 12.5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> medseg.Model:
    arguments = {"features": [4, 8]}
    card = ModelCard(
        name="tiny",
        title="A tiny U-Net",
        classes=(ClassCard(value=1, name="node & co"),),
        input=InputCard(channels=(ChannelCard(name="MR"),), patch=(8, 8, 8)),
        network=NetworkCard(name="unet", arguments=arguments),
        training=TrainingCard(data="none", license="none", cases=0, command="none", seed=None),
        weights_sha256="0" * 64,
    )
    torch.manual_seed(1)
    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=arguments)
    package = write_package(tmp_path_factory.mktemp("tiny"), card, network.state_dict())
    return medseg.load_model(package.folder, device="cpu", engine="torch", save=("probabilities",))


@pytest.fixture(scope="module")
def array() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(13, 9, 11)).astype(np.float32)


@pytest.fixture(scope="module")
def prediction(model: medseg.Model, array: np.ndarray) -> medseg.Prediction:
    return model.segment(array, affine=OBLIQUE)


def itk_image(array: np.ndarray, affine: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


@pytest.mark.parametrize("kind", ["scan", "path", "tensor", "nibabel", "SimpleITK", "channels first"])
def test_whatever_holds_a_scan_gives_the_same_labels(
    kind: str, model: medseg.Model, array: np.ndarray, prediction: medseg.Prediction, tmp_path: Path
) -> None:
    image = nib.Nifti1Image(array, OBLIQUE)
    nib.save(image, tmp_path / "scan.nii.gz")
    given = {
        "scan": lambda: model.segment(medseg.load_scan(tmp_path / "scan.nii.gz")),
        "path": lambda: model.segment(tmp_path / "scan.nii.gz"),
        "tensor": lambda: model.segment(torch.from_numpy(array).requires_grad_(), OBLIQUE),
        "nibabel": lambda: model.segment(image),
        "SimpleITK": lambda: model.segment(itk_image(array, OBLIQUE)),
        "channels first": lambda: model.segment(array[np.newaxis], OBLIQUE),
    }[kind]()
    assert 0 < prediction.labels.array.sum() < prediction.labels.array.size
    np.testing.assert_array_equal(np.asarray(given.labels), np.asarray(prediction.labels))
    np.testing.assert_allclose(given.labels.geometry.affine, OBLIQUE, atol=1e-5)


def test_an_affine_goes_with_an_array_and_with_nothing_else(model: medseg.Model, array: np.ndarray) -> None:
    with pytest.raises(medseg.UsageError, match="does not say where its voxels lie"):
        model.segment(array)
    with pytest.raises(medseg.UsageError, match="has its own"):
        model.segment(nib.Nifti1Image(array, OBLIQUE), OBLIQUE)
    with pytest.raises(medseg.UsageError, match="has its own"):
        model.segment(medseg.Scan(array[np.newaxis], medseg.Geometry(OBLIQUE, array.shape)), OBLIQUE)
    with pytest.raises(medseg.InputError, match=r"\(X, Y, Z\) or \(C, X, Y, Z\)"):
        model.segment(array[0], OBLIQUE)
    with pytest.raises(medseg.ConfigError, match=r"load_model: overlap: must be"):
        medseg.load_model("hippocampus", overlap=2)
    with pytest.raises(medseg.ConfigError, match="device: must be auto, cpu, cuda or cuda:N"):
        medseg.load_model("hippocampus", device="gpu")
    with pytest.raises(medseg.UsageError, match="save: must be one or more of probabilities, entropy"):
        medseg.load_model("hippocampus", save="scores")


def test_an_array_that_is_no_scan_is_told_what_is_wrong_with_it(model: medseg.Model, array: np.ndarray) -> None:
    coarse = torch.from_numpy(array).bfloat16()  # of which NumPy has no such type
    expected = model.segment(coarse.float(), OBLIQUE)
    np.testing.assert_array_equal(np.asarray(model.segment(coarse, OBLIQUE).labels), np.asarray(expected.labels))
    with pytest.raises(medseg.InputError, match=r"an array of shape \(0, 9, 11\) holds no voxels\. Give at least one"):
        model.segment(array[:0], OBLIQUE)
    with pytest.raises(
        medseg.NotForThisModel, match=r"has 13 channels.* with the channels first, in that order: \(C, X, Y"
    ):
        model.segment(array[..., np.newaxis], OBLIQUE)
    with pytest.raises(medseg.UsageError, match="a scan cannot be made of type LabelMap"):
        model.segment(expected.labels)


def test_a_prediction_says_what_the_command_line_says(prediction: medseg.Prediction) -> None:
    voxels = int(np.count_nonzero(np.asarray(prediction.labels)))
    assert prediction.volumes == {"node & co": pytest.approx(voxels * 1.0 * 1.2 * 1.5 / 1000)}
    assert prediction.warnings
    assert prediction.review_priority >= 1
    assert prediction.probabilities is not None
    assert prediction.probabilities.shape == (2, 13, 9, 11)
    np.testing.assert_array_equal(prediction.to_nibabel().get_fdata(), prediction.labels.array)
    assert repr(prediction).startswith("Prediction(shape=(13, 9, 11), spacing=(1, 1.2, 1.5) mm, orientation='LSA'")
    assert "\n" not in repr(prediction)


def test_save_plot_and_the_page_of_a_notebook(prediction: medseg.Prediction, tmp_path: Path) -> None:
    assert prediction.save(tmp_path / "a.nii.gz") == tmp_path / "a.nii.gz"
    np.testing.assert_array_equal(medseg.read_labels(tmp_path / "a.nii.gz").array, prediction.labels.array)
    np.testing.assert_array_equal(
        medseg.read_labels(prediction.save(tmp_path / "a.nrrd")).array, prediction.labels.array
    )
    for name in ("a.nii", "b.mha", "c.seg.nrrd"):
        saved = medseg.read_labels(prediction.save(tmp_path / name))
        np.testing.assert_array_equal(saved.array, prediction.labels.array)
        np.testing.assert_allclose(saved.geometry.affine, OBLIQUE, atol=1e-5)
        assert [entry.name for entry in saved.table] == ["node & co"]
    prediction.save(tmp_path / "case", format=("nifti",))
    assert {"labels.nii.gz", "measurements.csv", "preview.png"} <= {path.name for path in (tmp_path / "case").iterdir()}
    with pytest.raises(medseg.UsageError, match="needs a DICOM scan"):
        prediction.save(tmp_path / "a.seg.dcm")
    with pytest.raises(
        medseg.UsageError, match=r"no format has this ending\. Use one of \.nii\.gz, \.nii, \.nrrd, \.mha"
    ):
        prediction.save(tmp_path / "a.xyz")
    with pytest.raises(medseg.UsageError, match=r"Prediction\.save: format: must be one or more of nifti"):
        prediction.save(tmp_path / "other", format=("png",))
    with pytest.raises(medseg.FormatLimitation, match=r"Add a format such as nifti: `format` nifti,dicom-seg\.$"):
        prediction.save(tmp_path / "other", format="dicom-seg")
    with pytest.raises(medseg.UsageError, match="is not a folder"):
        prediction.save(tmp_path / "a.nii" / "below")
    with pytest.raises(medseg.UsageError, match=r"/proc/x/s\.nii\.gz: nothing can be written there"):
        prediction.save("/proc/x/s.nii.gz")
    assert prediction.plot(size=100).width > 300
    page = prediction._repr_html_()
    assert "node &amp; co" in page
    assert "data:image/png;base64," in page


@pytest.mark.parametrize("read_by", ["its name", "a link"])
def test_the_scan_itself_is_never_written_over(model: medseg.Model, array: np.ndarray, tmp_path: Path, read_by: str):
    named = tmp_path / "in" / "labels.nii.gz"  # as a result is called
    named.parent.mkdir()
    nib.save(nib.Nifti1Image(array, OBLIQUE), named)
    (tmp_path / "link.nii.gz").symlink_to(named)
    before = named.read_bytes()
    prediction = model.segment(named if read_by == "its name" else tmp_path / "link.nii.gz")
    for place in (named, named.parent, tmp_path / "in" / ".." / "in" / named.name, tmp_path / "link.nii.gz"):
        with pytest.raises(medseg.UsageError, match="would take the place of the file that it is made from"):
            prediction.save(place)
    assert [path.name for path in named.parent.iterdir()] == [named.name]
    assert named.read_bytes() == before
    assert prediction.save(tmp_path / "in" / "mask.nii.gz").is_file()
