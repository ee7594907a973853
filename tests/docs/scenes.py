"""What the commands of the documentation find where they are run: the folders and models that the pages speak of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import yaml
from networks_for_tests import tiny_card
from peers.orthanc import free_port
from run_here import run_here
from scanner_history import history, write_results
from small_series import small_series
from tiny_dataset import write_config, write_msd

from medseg.demo.scans import lay_out
from medseg.io.instances import write_instances
from medseg.io.read import read_labels
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.post.components import components
from medseg.review.opening import open_store

Scene = Callable[[Path], None]


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
    for name in ("runs/mine/model", "runs/hippocampus/model", "home/models/my-model", "home/models/my-lesions"):
        _package(folder / name)
    write_config(folder / "recipe.yaml", iterations_per_epoch=1, epochs=1)
    return folder


def _package(folder: Path) -> None:
    arguments = {"features": [4, 8]}
    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=arguments)
    card = tiny_card(network=NetworkCard(name="unet", arguments=arguments))
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


def _measured(here: Path) -> None:
    """References of the results' cases: the labels, a little moved."""
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


def _reviewed(here: Path, *readers: str) -> None:
    """Results of which every case is accepted, one with a correction."""
    _segmented(here, "--format", "nifti,dicom-seg")
    accepted(here / "results", readers)


def accepted(results: Path, readers: tuple[str, ...], cases: str = "*") -> None:
    """What a person does in the page: correct a voxel of every case, and accept."""
    from medseg.types import LabelMap

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


def _lesions(here: Path) -> None:
    """A dataset without a description, of a folder for each patient; the example is the page's to make."""
    shutil.rmtree(here / "datasets" / "example")
    for number, image in enumerate(sorted((here / "DATASET" / "imagesTr").iterdir())):
        patient = here / "datasets" / "lesions" / f"p{number}"
        patient.mkdir(parents=True)
        for name in ("flair", "t1"):
            shutil.copy(image, patient / f"{name}.nii.gz")
        shutil.copy(here / "DATASET" / "labelsTr" / image.name, patient / "seg.nii.gz")


def _study(here: Path) -> None:
    """What the page on segmenting a folder has: a manifest's scans, a study with several series."""
    small_series(here / "study" / "localizer", shape=(8, 8, 1), SeriesDescription="localizer")


def _objects(here: Path) -> None:
    """Results with objects of one series, the only scan."""
    (here / "scans" / "case.nii.gz").unlink()
    _segmented(here)
    case = sorted(here.glob("results/mr-*/labels.nii.gz"))[0]
    _numbered(case, here / "results" / "case")
    shutil.copy(case, here / "results" / "case" / "labels.nii.gz")
    (here / "secret.txt").write_text("a key of more than sixteen bytes")


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


def _two_readers(here: Path) -> None:
    """What two readers judged on their own, and labels of one of them."""
    _reviewed(here, "Ada", "Bob")
    _from_slicer(here)


SCENES: dict[str, Scene] = {
    "README.md": _newcomer,
    "docs/how-to/cluster.md": lambda here: _written(here, "inspect", "scans", "--manifest", "cases.csv"),
    "docs/how-to/composite.md": _parts,
    "docs/how-to/count-objects.md": _pictures,
    "docs/how-to/evaluate.md": _measured,
    "docs/how-to/follow.md": _two_time_points,
    "docs/how-to/hand-over-to-radiology.md": _objects,
    "docs/how-to/import-models.md": _any_scan,
    "docs/how-to/monitor.md": _months,
    "docs/how-to/node.md": _node,
    "docs/how-to/reading-study.md": lambda here: _reviewed(here, "Ada", "Bob"),
    "docs/how-to/retrain.md": _reviewed,
    "docs/how-to/review-results.md": _judged,
    "docs/how-to/segment-a-folder.md": _study,
    "docs/how-to/train.md": _lesions,
    "docs/how-to/two-readers.md": _two_readers,
}


def _written(here: Path, *words: str) -> None:
    assert run_here(*words).returncode == 0
