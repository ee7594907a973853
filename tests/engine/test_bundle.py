"""A folder that installs medseg without network."""

import hashlib
import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psutil
import pytest
from networks_for_tests import tiny_card
from node_peers import happens
from page_commands import page_block

import medseg
from medseg.cli.app import run
from medseg.engine import bundle as module
from medseg.engine.bundle import SUMS, constraints
from medseg.errors import InputError, MissingDependency, UsageError
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network


@pytest.fixture
def liver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package called liver."""
    arguments = {"features": [4, 8]}
    network = build_network("unet", channels=1, classes=2, dimensions=3, arguments=arguments)
    card = tiny_card("liver", network=NetworkCard(name="unet", arguments=arguments))
    return write_package(tmp_path_factory.mktemp("models") / "liver", card, network.state_dict()).folder


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What pip is asked for; instead of it, empty files with the names of wheels are made."""
    asked: list[tuple[str, ...]] = []

    def collect(_: Path, *arguments: str) -> None:
        asked.append(arguments)
        folder = Path(arguments[arguments.index("--wheel-dir") + 1])
        folder.mkdir(exist_ok=True)
        (folder / "medseg-1.0-py3-none-any.whl").write_bytes(b"own")
        if "--constraint" in arguments:
            (folder / "numpy-2.0-py3-none-any.whl").write_bytes(b"numpy")

    monkeypatch.setattr(module, "_pip", collect)
    return asked


def test_the_versions_are_those_installed_here():
    lines = constraints().splitlines()
    assert f"numpy=={metadata.version('numpy')}" in lines
    assert not [line for line in lines if line.startswith("medseg==")]
    assert len(lines) > 50


def test_the_folder_holds_wheels_models_versions_and_an_installer_and_every_file_has_its_hash(pip, liver, tmp_path):
    made = medseg.bundle(tmp_path / "out", model=[str(liver), "nuclei"], extras="parquet,onnx")
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        *("wheels", "models", "constraints.txt", "SHA256SUMS", "README.md", "install.py"),
    }
    assert made.wheels == ("medseg-1.0-py3-none-any.whl", "numpy-2.0-py3-none-any.whl")
    assert made.models == ("liver",)  # nuclei is inside medseg
    assert (folder / "models" / "liver" / "weights.safetensors").is_file()
    assert pip[1][-1].endswith("medseg-1.0-py3-none-any.whl[parquet,onnx]")
    readme = (folder / "README.md").read_text()
    assert "medseg[parquet,onnx]" in readme
    assert "medseg models import models/liver --name liver\n" in readme
    listed = dict(line.split("  ")[::-1] for line in (folder / SUMS).read_text().splitlines())
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(listed) == files - {SUMS}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


KILLED = """
import os, signal, sys, medseg
from medseg.engine import bundle as module
module._pip = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
medseg.bundle(sys.argv[1])
"""


def test_what_a_killed_one_collected_is_deleted_by_the_next(pip, tmp_path, monkeypatch):
    monkeypatch.setattr("medseg.io.files.leftovers._swept", set())
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [*tmp_path.iterdir()]
    medseg.bundle(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


STOPPED_PIP = """
import os, pathlib, tempfile, time
pathlib.Path(tempfile.mkdtemp(), "download").write_bytes(b"wheel")
pathlib.Path(os.environ["STARTED"]).write_text(str(os.getpid()))
time.sleep(60)
"""


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_stop_leaves_no_temporary_files_of_pip_and_no_pip(tmp_path, kind):
    (tmp_path / "path" / "pip").mkdir(parents=True)
    (tmp_path / "path" / "pip" / "__init__.py").touch()
    (tmp_path / "path" / "pip" / "__main__.py").write_text(STOPPED_PIP)
    (tmp_path / "tmp").mkdir()
    place = os.pathsep.join([str(tmp_path / "path"), str(Path(medseg.__file__).parents[1])])
    started = tmp_path / "started"
    environment = {**os.environ, "PYTHONPATH": place, "TMPDIR": str(tmp_path / "tmp"), "STARTED": str(started)}
    command = [sys.executable, "-m", "medseg", "bundle", "--out", str(tmp_path / "out" / "bundle")]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    assert happens(lambda: started.is_file() and started.read_text())
    process.send_signal(kind)
    assert process.wait(30) == (75 if kind == signal.SIGTERM else -kind)
    assert happens(lambda: not psutil.pid_exists(int(started.read_text())), 5)
    assert not list((tmp_path / "tmp").iterdir())
    assert kind == signal.SIGKILL or not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("wheel", ["numpy-2.0-py3-none-any.whl", "numpy-2.0-1-py3-none-any.whl"])
def test_the_installer_refuses_a_wheel_that_is_damaged_or_was_added(pip, tmp_path, wheel):
    medseg.bundle(tmp_path / "out")
    (tmp_path / "out" / "wheels" / wheel).write_bytes(b"other, and of the two builds the one that pip prefers")
    command = [sys.executable, str(tmp_path / "out" / "install.py"), str(tmp_path / "environment")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"wheels/{wheel} is missing, damaged or not of this bundle (1 in all)" in done.stderr
    assert not (tmp_path / "environment").exists()


def test_what_cannot_be_is_said_before_anything_is_collected(pip, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(UsageError, match="holds something already"):
        medseg.bundle(tmp_path / "full")
    with pytest.raises(UsageError, match=r"no extra 'onx'\. There are: .*onnx"):
        medseg.bundle(tmp_path / "out", extras="onx")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip is not installed here\. python -m ensurepip"):
        medseg.bundle(tmp_path / "out")
    assert not pip
    assert not (tmp_path / "out").exists()


def test_without_an_index_one_sentence_says_so_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_source", lambda: "medseg-that-is-nowhere==1.0")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InputError, match=r"pip could not get every package \(No matching distribution.*PIP_INDEX_URL"):
        medseg.bundle(tmp_path / "out")
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_installs_and_works_without_an_index(liver, tmp_path):
    """As the page has it, with a model."""
    (bundle,) = page_block("docs/how-to/install-offline.md", "medseg bundle --out medseg-bundle --extras onnx")
    install, doctor = page_block("docs/how-to/install-offline.md", "python3.11 medseg-bundle/install.py /opt/medseg")
    target = tmp_path / "environment"
    assert run([*bundle.with_names({"medseg-bundle": tmp_path / "out"}).words[1:], "--model", str(liver)]) == 0
    environment = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/", "MEDSEG_HOME": str(tmp_path / "home")}
    environment.pop("PYTHONPATH", None)
    names = {"python3.11": sys.executable, "medseg-bundle": tmp_path / "out", "/opt/medseg": target}
    command = install.with_names(names).words
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(target / "bin" / "medseg")
    assert (tmp_path / "home" / "models" / "liver" / "model.yaml").is_file()
    checks = [[str(target / "bin" / "medseg"), "models", "verify", name] for name in ("hippocampus", "liver")]
    for check in (*checks, doctor.with_names({"/opt/medseg": target}).words):
        checked = subprocess.run(check, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
        assert checked.returncode == 0, checked.stderr
