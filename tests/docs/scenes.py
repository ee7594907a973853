"""What the commands of the documentation find where they are run: the folders and models that the pages speak of."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import totalsegmentator_networks
import yaml
from networks_for_tests import tiny_card
from page_archive import certificate
from page_commands import ROOT
from peers.orthanc import free_port
from pydicom.uid import generate_uid
from run_here import run_here
from scanner_history import history, write_results
from skimage.measure import label
from small_labels import MODEL
from small_series import small_series
from tiny_dataset import make_case, write_config, write_msd

from medseg.demo.scans import lay_out
from medseg.io.dicom_results.rtstruct import write_rtstruct
from medseg.io.instances import write_instances
from medseg.io.read import read_labels
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.post.components import components
from medseg.prepare.card import ChannelCard, InputCard
from medseg.review.opening import open_store
from medseg.tracking.runs import Tracker
from medseg.types import LabelClass, LabelMap, LabelTable

# What lays down all that the page needs; it returns what has another name here than in the page.
Scene = Callable[[Path], Mapping[str, str] | None]
LARGE = 40  # voxels along each axis of a scan that a patch of a small machine does not cover


def world(folder: Path) -> Path:
    """Write what most pages speak of: scans, a series, a dataset, a model of one's own, and results of the scans."""
    demo = lay_out(folder / "demo-scans").folder
    series = demo / "console-export" / "DICOM" / "0000A1"
    (series / "IM9001").unlink()
    for name in ("scans/series", "study", "scans/patient07"):
        shutil.copytree(series, folder / name)
    shutil.rmtree(folder / "scans" / "patient07")
    shutil.copy(demo / "research" / "left-hippocampus.nii.gz", folder / "scans" / "case.nii.gz")
    (folder / "more").mkdir()
    _shifted(folder / "scans" / "case.nii.gz", folder / "more" / "extra.nii.gz", 3)
    shutil.rmtree(demo)
    for name in ("DATASET", "datasets/example", "Task04_Hippocampus", "dataset", "original-dataset", "PATH/data"):
        write_msd(folder / name)
    described = folder / "Task04_Hippocampus" / "dataset.json"
    described.write_text(described.read_text().replace("bright", "Anterior").replace("dark", "Posterior"))
    for name in ("runs/mine/model", "runs/hippocampus/model", "home/models/my-model", "home/models/my-lesions"):
        _package(folder / name)
    write_config(folder / "recipe.yaml", iterations_per_epoch=1, epochs=1)
    return folder


def _package(folder: Path, channels: tuple[str, ...] = ("MR",), classes: tuple[str, ...] = ("a",)) -> None:
    arguments = {"features": [4, 8]}
    shape = {"channels": len(channels), "classes": len(classes) + 1, "dimensions": 3}
    network = build_network("unet", **shape, arguments=arguments)
    seen = InputCard(channels=tuple(ChannelCard(name=name) for name in channels), patch=(8, 8, 8))
    card = tiny_card(classes=classes, network=NetworkCard(name="unet", arguments=arguments), input=seen)
    write_package(folder, card, network.state_dict())


def _shifted(source: Path, target: Path, voxels: int) -> None:
    image = nib.load(source)
    data = np.roll(np.asarray(image.dataobj), voxels, axis=1)
    target.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, image.affine, image.header), target)


def _segmented(here: Path, *options: str, out: str = "results") -> None:
    assert run_here("predict", "scans", "--model", "hippocampus", "--out", out, *options).returncode == 0


def _labels(here: Path) -> list[Path]:
    return sorted(here.glob("results/*/labels.nii.gz"))


def _measured(here: Path) -> Mapping[str, str]:
    """References of the results' cases: the labels, a little moved; and a run in MLflow."""
    _segmented(here)
    for folder in ("dataset/labelsTr", "references", "a", "b", "nuclei", "instances"):
        shutil.rmtree(here / folder, ignore_errors=True)
        for number, labels in enumerate(_labels(here)):
            _shifted(labels, here / folder / f"{labels.parent.name}.nii.gz", number if folder in ("a", "nuclei") else 1)
    shutil.copytree(here / "scans", here / "images")
    rows = [
        f"{labels.parent.name},{'north' if n else 'south'},{'f' if n else 'm'}"
        for n, labels in enumerate(_labels(here))
    ]
    (here / "cases.csv").write_text("\n".join(["case_id,site,sex", *rows]) + "\n")
    for name in ("evaluation-old", "evaluation-new"):
        assert run_here("evaluate", "a" if name.endswith("old") else "b", "references", "--out", name).returncode == 0
    tracker = Tracker(here, name="train", parameters={})
    tracker.end()
    return {"4f1c…": tracker.run_id}


def _reviewed(here: Path, *readers: str) -> None:
    """Results of which every case is accepted, one with a correction."""
    _segmented(here, "--format", "nifti,dicom-seg")
    accepted(here / "results", readers)


def accepted(results: Path, readers: tuple[str, ...], cases: str = "*") -> None:
    """What a person does in the page: correct a voxel of every case, and accept."""
    with open_store(results, create=True) as store:
        for reader in readers or ("Ada",):
            for labels in sorted(results.glob(f"{cases}/labels.nii.gz")):
                case_id = labels.parent.name
                model = store.model_labels(case_id)
                array = model.array.copy()
                array[0, 0, 2] = 1
                drawn = LabelMap(array, model.geometry, model.table)
                saved = store.save_labels(case_id, drawn, who=reader, expected=0, origin="drawn", reader=reader)
                store.verdict(case_id, kind="accept", revision=saved.number, who=reader, reader=reader)


def _retraining(here: Path) -> None:
    """Reviewed results, and a dataset of the same classes that the model was not trained on."""
    _reviewed(here)
    dataset = here / "original-dataset"
    names = [entry.name for entry in read_labels(next(here.glob("results/case/labels.nii.gz"))).table]
    (labels,) = here.glob("results/case/labels.nii.gz")
    for number, path in enumerate(sorted((dataset / "imagesTr").iterdir())):
        _shifted(here / "scans" / "case.nii.gz", path, number)
        _shifted(labels, dataset / "labelsTr" / path.name, number + 1)  # of what is a little wrong, Dice can rise
    described = json.loads((dataset / "dataset.json").read_text())
    described["labels"] = {"0": "background"} | {str(n): name for n, name in enumerate(names, 1)}
    (dataset / "dataset.json").write_text(json.dumps(described))


def _of_the_dataset(here: Path) -> None:
    """A model of the dataset's classes."""
    shutil.rmtree(here / "home" / "models" / "my-model")
    _package(here / "home" / "models" / "my-model", classes=("bright", "dark"))


def _from_slicer(here: Path, cases: str = "*") -> None:
    (here / "from-slicer").mkdir()
    for labels in here.glob(f"results/{cases}/labels.nii.gz"):
        shutil.copy(labels, here / "from-slicer" / f"{labels.parent.name}.nii.gz")


def _two_time_points(here: Path) -> None:
    (here / "scans" / "case.nii.gz").rename(here / "scans" / "case7.nii.gz")
    for year in ("2023", "2024"):
        _segmented(here, out=f"results-{year}")
        shutil.copy(here / f"results-{year}" / "case7" / "labels.nii.gz", here / f"{year}.nii.gz")
        shutil.copy(here / "scans" / "case7.nii.gz", here / f"{year}-flair.nii.gz")


def _parts(here: Path) -> None:
    """Two models under the names that the page's composite uses."""
    described = {"title": "Two parts", "parts": [{"model": "my-model"}, {"model": "runs/mine/model", "name": "other"}]}
    (here / "abdomen.yaml").write_text(yaml.safe_dump(described))
    _any_scan(here)
    _totalsegmentator(here)


def _totalsegmentator(here: Path) -> None:
    """TotalSegmentator's weights where it keeps them in a person's home, with networks of random weights."""
    results = here / ".totalsegmentator" / "nnunet" / "results"
    for number in totalsegmentator_networks.FOLDERS:
        totalsegmentator_networks.write(results, number)
    page = (ROOT / "docs/how-to/from-totalsegmentator.md").read_text(encoding="utf-8")
    (composite,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (results / "liver-spleen.yaml").write_text(composite)


def _any_scan(here: Path) -> None:
    """Scans that a model of the balls is for."""
    shutil.rmtree(here / "scans")
    shutil.copytree(here / "DATASET" / "imagesTr", here / "scans")
    shutil.rmtree(here / "PATH")
    shutil.copytree(here / "runs" / "mine" / "model", here / "PATH")


def _pictures(here: Path) -> None:
    """Light dots on a dark ground, and numbered objects of a series."""
    from skimage.io import imsave

    (here / "images").mkdir()
    random = np.random.default_rng(0)
    for number in range(2):
        grid = np.stack(np.meshgrid(np.arange(96), np.arange(96), indexing="ij"), -1)
        image = np.full((96, 96), 20.0)
        for center in random.integers(12, 84, (6, 2)):
            image += 180 * np.exp(-((grid - center) ** 2).sum(-1) / 40)
        imsave(here / "images" / f"cells{number}.png", np.clip(image, 0, 255).astype(np.uint8), check_contrast=False)
    _segmented(here, out="segmented")
    (case,) = here.glob("segmented/mr-*/labels.nii.gz")
    _numbered(case, here / "results" / "patient07")
    (here / "scans" / "series").rename(here / "scans" / "patient07")


def _nuclei(here: Path) -> None:
    """Pictures to count, and two datasets whose references number the objects: of color images, and of volumes."""
    from skimage.io import imread, imsave

    _pictures(here)
    for number in range(4):
        image, labels = make_case(number)
        for folder, kind in (("images", image), ("instances", labels)):
            (here / "stacks" / folder).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(kind, np.eye(4)), here / "stacks" / folder / f"stack{number}.nii.gz")
        gray = np.roll(imread(here / "images" / f"cells{number % 2}.png"), 7 * number, axis=0)
        ids = label(gray > 100).astype(np.uint16)
        for folder, kind in (("images", np.stack([gray] * 3, -1)), ("instances", ids)):
            (here / "nuclei" / folder).mkdir(parents=True, exist_ok=True)
            imsave(here / "nuclei" / folder / f"cells{number}.png", kind, check_contrast=False)


def _numbered(labels: Path, folder: Path) -> None:
    """Write the components of labels as objects."""
    folder.mkdir(parents=True, exist_ok=True)
    write_instances(components(read_labels(labels)), folder)


def _node(here: Path) -> None:
    rule = {"when": {"Modality": "MR"}, "model": "hippocampus", "formats": ["dicom-seg"]}
    values = {
        "aet": "MEDSEG", "host": "127.0.0.1", "port": free_port(), "http": f"127.0.0.1:{free_port()}",
        "folder": "node-data", "rules": [rule], "default": "ignore",
    }  # fmt: skip
    (here / "node.yaml").write_text(yaml.safe_dump(values))


def _trainings(here: Path) -> None:
    """Datasets: without a description, of scans that take several patches, of DICOM. The example is the page's."""
    shutil.rmtree(here / "datasets" / "example")
    for number, image in enumerate(sorted((here / "DATASET" / "imagesTr").iterdir())):
        folder = here / "datasets" / "lesions" / f"p{number}"
        folder.mkdir(parents=True)
        for name in ("flair", "t1"):
            shutil.copy(image, folder / f"{name}.nii.gz")
        shutil.copy(here / "DATASET" / "labelsTr" / image.name, folder / "seg.nii.gz")
    for path in here.glob("DATASET/*Tr/*.nii.gz"):
        image = nib.load(path)
        around = [(0, LARGE - size) for size in image.shape]
        wider = np.pad(np.asarray(image.dataobj), around, mode="edge" if "images" in str(path) else "constant")
        nib.save(nib.Nifti1Image(wider, image.affine), path)
    for number in range(4):
        _sarcoma(here / "Soft-tissue-Sarcoma", number)


def _sarcoma(folder: Path, number: int) -> None:
    """CT and PET of a patient, no two of whom are alike, and a tumor drawn on the CT."""
    same = {"PatientID": f"P{number}", "FrameOfReferenceUID": generate_uid()}
    for modality in ("PT", "CT"):
        series, geometry = small_series(folder / f"{modality}{number}", Modality=modality, **same)
        for path in series.files:
            image = pydicom.dcmread(path)
            image.PixelData = (image.pixel_array + 10 * number).tobytes()
            image.save_as(path)
    array = np.zeros(geometry.shape, np.uint8)
    array[4 : 7 + number, 3:7, 2:4] = 1
    labels = LabelMap(array, geometry, LabelTable((LabelClass(1, "GTV_1"),)))
    source = replace(series, frame_of_reference_uid=same["FrameOfReferenceUID"])
    write_rtstruct(labels, source, folder / f"drawn{number}.dcm", model=MODEL)


def _study(here: Path) -> None:
    """A study with several series, and patients of whom one lacks a channel of a model of two."""
    small_series(here / "study" / "localizer", shape=(8, 8, 1), SeriesDescription="localizer")
    _package(here / "home" / "models" / "tumor", ("T1", "FLAIR"))
    for name in ("p1/T1", "p1/FLAIR", "p2/FLAIR"):
        (here / "patients" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / "scans" / "case.nii.gz", here / "patients" / f"{name}.nii.gz")


def _weights(here: Path) -> None:
    """Weights of others that are no package, as SuPreM publishes its own, of a network that is small."""
    import torch
    from monai.networks.nets import SegResNet

    network = SegResNet(blocks_down=[1, 1], blocks_up=[1], init_filters=8, out_channels=32)
    weights = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"net": weights}, here / "checkpoint_final.pth")


def _objects(here: Path) -> None:
    """Results with objects of one series, the only scan."""
    (here / "scans" / "case.nii.gz").unlink()
    _segmented(here)
    case = sorted(here.glob("results/mr-*/labels.nii.gz"))[0]
    _numbered(case, here / "results" / "case")
    shutil.copy(case, here / "results" / "case" / "labels.nii.gz")
    (here / "secret.txt").write_text("a key of more than sixteen bytes")
    accepted(here / "results", ("Ada",), "mr-*")


def in_the_world(here: Path) -> None:
    """All that the page needs is in the world."""


def _newcomer(here: Path) -> None:
    """What `make demo` has left, and nothing else."""
    for path in here.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    lay_out(here / "demo" / "scans")


def _months(here: Path) -> None:
    """Results of a hospital over months, and of a node."""
    for out in (here / "results", here / "node-data" / "results"):
        write_results(out, history(60))


def _judged(here: Path) -> None:
    """An accepted case, labels of the other from another program, and scans that were moved into an archive."""
    _segmented(here, "--format", "nifti,dicom-seg")
    accepted(here / "results", ("Ada",), "mr-*")
    _from_slicer(here, "case")
    shutil.copytree(here / "scans", here / "archive" / "2026")
    certificate(here, "radiology.example")


def _two_readers(here: Path) -> None:
    """What two readers judged on their own, and labels of one of them."""
    _reviewed(here, "Ada", "Bob")
    _from_slicer(here)


SCENES: dict[str, Scene] = {
    "README.md": _newcomer,
    "docs/how-to/composite.md": _parts,
    "docs/how-to/count-objects.md": _nuclei,
    "docs/how-to/evaluate.md": _measured,
    "docs/how-to/fine-tune.md": _weights,
    "docs/how-to/follow.md": _two_time_points,
    "docs/how-to/from-totalsegmentator.md": _parts,
    "docs/how-to/hand-over-to-radiology.md": _objects,
    "docs/how-to/import-models.md": _any_scan,
    "docs/how-to/monitor.md": _months,
    "docs/how-to/node.md": _node,
    "docs/how-to/reading-study.md": lambda here: _reviewed(here, "Ada", "Bob"),
    "docs/how-to/retrain.md": _retraining,
    "docs/how-to/review-results.md": _judged,
    "docs/how-to/run-faster.md": _of_the_dataset,
    "docs/how-to/segment-a-folder.md": _study,
    "docs/how-to/train.md": _trainings,
    "docs/how-to/two-readers.md": _two_readers,
}
