"""The packages under examples/ add a stage and a network to medseg as pip would install them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from page_commands import ROOT, Command, page_block, shortened
from scipy import ndimage

import medseg
from medseg.cli.app import run
from medseg.demo.dataset import make_case, write_dataset
from medseg.demo.scans import lay_out
from medseg.engine.predict import run_pipeline
from medseg.engine.registry import stage_names
from medseg.engine.runner import RunOptions
from medseg.models.registry import network_names

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Lay down the metadata pip would write for an example, and put both on the path, for child processes too."""

    def lay(name: str) -> Path:
        example = EXAMPLES / name
        project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
        info = tmp_path / "site" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        lines = [
            line
            for group, points in project["entry-points"].items()
            for line in (f"[{group}]", *(f"{key} = {value}" for key, value in points.items()))
        ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for folder in (example / "src", info.parent):
            monkeypatch.syspath_prepend(folder)
            monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
        return example

    return lay


def test_a_stage_of_another_package_filters_before_the_network(install, tmp_path):
    example = install("plugin_stage")
    assert "median" in stage_names()
    scan = tmp_path / "speckled.nii.gz"
    array = np.random.default_rng(0).normal(100, 30, (32, 36, 30)).astype(np.float32)
    nib.save(nib.Nifti1Image(array, np.eye(4)), scan)
    pipeline, fast = example / "median-segmentation.yaml", {"mirror": "none", "overlap": 0.0, "device": "cpu"}
    settings = [
        "segment.model=hippocampus",
        "median.size=5",
        *(f"segment.{key}={fast[key]}" for key in fast),
        "segment.anyway=true",
    ]
    options = RunOptions(isolate=False)
    result = run_pipeline(pipeline, [scan], tmp_path / "out", settings=settings, options=options)
    assert result.exit_code == 0
    saved = np.asarray(nib.load(tmp_path / "out" / "speckled" / "labels.nii.gz").dataobj)
    model = medseg.load_model("hippocampus", **fast)
    assert np.array_equal(saved, model.segment(ndimage.median_filter(array, 5), np.eye(4), anyway=True).labels.array)
    assert not np.array_equal(saved, model.segment(array, np.eye(4), anyway=True).labels.array)


def test_a_network_of_another_package_trains_and_segments(install, tmp_path):
    example = install("plugin_network")
    assert "context" in network_names()
    dataset = write_dataset(tmp_path / "dataset", cases=4)
    out = tmp_path / "run"
    settings = [
        "--set", "iterations_per_epoch=2", "--set", "network.arguments.width=4", "--set", "split.folds=4",
        "--set", "tracking=false",
    ]  # fmt: skip
    command = ["train", str(dataset), "--config", str(example / "context.yaml"), "--out", str(out), "--epochs", "1"]
    assert run([*command, "--device", "cpu", *settings]) == 0
    assert yaml.safe_load((out / "model" / "model.yaml").read_text())["network"]["name"] == "context"
    scan = dataset / "imagesTr" / "case_00.nii.gz"
    table = medseg.load_model(out / "model", device="cpu").segment(scan).labels.table
    assert [entry.name for entry in table] == ["organ", "lesion"]


def test_the_example_dataset_is_the_same_every_time(tmp_path, capsys):
    assert run(["demo", "--dataset", str(tmp_path / "new")]) == 0
    assert "medseg train" in capsys.readouterr().out
    image = np.asarray(nib.load(tmp_path / "new" / "imagesTr" / "case_03.nii.gz").dataobj)
    assert np.array_equal(image, make_case(3)[0])
    assert run(["audit", str(tmp_path / "new"), "--out", str(tmp_path / "audit")]) == 0
    assert run(["demo", "--dataset", str(tmp_path / "new")]) == 2


@pytest.mark.slow
@pytest.mark.starts_workers
@pytest.mark.parametrize(
    "block",
    [
        page_block("examples/plugin_network/README.md", "pip install ./examples/plugin_network"),
        page_block("examples/plugin_stage/README.md", "pip install ./examples/plugin_stage"),
    ],
)
def test_the_commands_of_its_page(block: list[Command], tmp_path):
    """In an environment of its own, which finds what is installed here."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    (tmp_path / "SCANS").mkdir()
    shutil.copy(lay_out(tmp_path / "demo").folder / "research" / "left-hippocampus.nii.gz", tmp_path / "SCANS")
    venv.create(tmp_path / "environment")
    python = tmp_path / "environment" / "bin" / "python"
    (site,) = (tmp_path / "environment").glob("lib/*/site-packages")
    (site / "here.pth").write_text(sysconfig.get_path("purelib"))
    environment = {**os.environ, "PIP_PYTHON": str(python), "PYTHONPATH": str(ROOT)}
    install, *verbs = [command.words for command in block]
    started = [[sys.executable, "-m", *install]]
    started += [[str(python), "-m", "medseg", *shortened(words)] for _, *words in verbs]
    for command in started:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert any(tmp_path.glob("runs/context/model/model.yaml")) or any(tmp_path.glob("results/*/labels.nii.gz"))
