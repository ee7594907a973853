"""The container's recipe: what it promises, and that medseg does its work under the same restrictions."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from mercure_task import task
from page_commands import page_block
from peer_tools import call
from run_here import run_here

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "Containerfile").read_text(encoding="utf-8")


def steps() -> list[tuple[str, str]]:
    """Every instruction and its arguments, comments and line breaks removed."""
    lines = "\n".join(line for line in RECIPE.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def last(name: str) -> str:
    """The instruction that holds for the image: the last one after the last FROM."""
    final = steps()[max(n for n, (word, _) in enumerate(steps()) if word == "FROM") :]
    (*_, found) = [rest for word, rest in final if word == name]
    return found


def default(name: str) -> str:
    """What an argument of the build is where it is not given."""
    return next(rest.partition("=")[2] for word, rest in steps() if word == "ARG" and rest.startswith(f"{name}="))


def test_the_image_is_labeled_with_its_version_its_source_and_its_base():
    with (ROOT / "pyproject.toml").open("rb") as stream:
        assert default("VERSION") == tomllib.load(stream)["tool"]["hatch"]["version"]["fallback-version"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\S+?)="([^"]*)"', last("LABEL")))
    wanted = {"version": "${VERSION}", "revision": "${REVISION}", "base.name": "${BASE}", "licenses": "Apache-2.0"}
    assert wanted.items() <= labels.items()
    final = steps()[max(n for n, (word, _) in enumerate(steps()) if word == "FROM") :]
    assert {"BASE", "VERSION"} <= {rest for word, rest in final if word == "ARG"}  # else they are empty in this stage


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("digest", ["sha256:" + 64 * "a", ""])
def test_what_is_built_is_pinned_by_the_digest_of_its_base(digest, tmp_path):
    said, builder = tmp_path / "said", tmp_path / "builder"
    builder.write_text(f'#!/bin/sh\necho "$@" >>{said}\n[ "$1" != image ] || echo "python@{digest}"\n')
    builder.chmod(0o755)
    made = subprocess.run(
        ["make", "container", f"BUILDER={builder}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    pulled, _, *rest = said.read_text().splitlines()
    assert pulled == f"pull {default('BASE')}"
    if digest:
        assert made.returncode == 0, made.stderr
        assert f"--build-arg BASE={default('BASE')}@{digest} --build-arg REVISION=" in rest[0]
        assert len(rest) == 2
    else:
        assert made.returncode
        assert "has no digest" in made.stderr
        assert not rest


def test_base_images_are_pinned_and_the_versions_are_the_tests_own():
    assert {rest.split()[0] for word, rest in steps() if word == "FROM"} == {"${BASE}"}
    assert re.search(r":\d+\.\d+\.\d+\S*$", default("BASE"))
    (install,) = [rest for word, rest in steps() if word == "RUN" and "pip install" in rest]
    assert "--constraint constraints.txt" in install


def test_the_user_is_nobody_in_particular_and_nothing_is_fetched_past_the_package_index():
    user = last("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)  # a number, so that an orchestrator can see that it is not root
    assert not [rest for word, rest in steps() if word == "ADD" or re.search(r"\b(curl|wget|git clone)\b", rest)]
    assert "EXPOSE" not in {word for word, _ in steps()}


def test_health_entry_and_command_are_verbs():
    health = last("HEALTHCHECK")
    command = json.loads(re.search(r"CMD (\[.*\])", health)[1])
    assert command[:1] == json.loads(last("ENTRYPOINT")) == ["medseg"]
    assert command[2:4] == ["models", "verify"]
    assert json.loads(last("CMD")) == ["mercure"]


def test_models_are_inside_and_everything_that_is_copied_exists_and_is_not_ignored():
    (install,) = [rest for word, rest in steps() if word == "RUN" and "pip install" in rest]
    shipped = {
        path.name for path in (ROOT / "medseg" / "models" / "shipped").iterdir() if (path / "model.yaml").exists()
    }
    assert set(re.findall(r"models verify (\S+)", install)) == shipped
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    for name in {
        part for word, rest in steps() if word == "COPY" and "--from" not in rest for part in rest.split()[:-1]
    }:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    assert (ROOT / ".dockerignore").resolve() == ROOT / ".containerignore"


def test_ci_builds_it_and_runs_it_without_root_network_and_writing():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    commands = " ".join(step.get("run", "") for step in jobs["container"]["steps"])
    assert "make container" in commands
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--read-only --network none --cap-drop ALL" in made


@pytest.mark.peers
def test_hadolint_has_nothing_to_say():
    assert call("hadolint", ROOT / "Containerfile") == ""


@pytest.mark.peers
@pytest.mark.timeout(3600)
def test_it_is_built_where_there_is_a_builder():
    builder = next((name for name in ("docker", "podman") if shutil.which(name)), None)
    if builder is None or subprocess.run([builder, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container builder runs here (docker or podman)")
    subprocess.run(["make", "container", f"BUILDER={builder}"], cwd=ROOT, check=True)


def test_the_commands_of_the_page_are_of_this_recipe() -> None:
    build, _ = page_block("docs/how-to/container.md", "docker build -f Containerfile -t medseg:1 .")
    look_up, pinned, _ = page_block(
        "docs/how-to/container.md",
        "docker buildx imagetools inspect docker.io/library/python:3.11.13-slim-bookworm",
    )
    assert look_up.words[-1] == default("BASE")
    known = {rest.partition("=")[0] for word, rest in steps() if word == "ARG"}
    given = dict(word.split("=", 1) for before, word in pairwise(pinned.words) if before == "--build-arg")
    assert set(given) <= known
    assert given["BASE"] == f"{default('BASE')}@sha256:..."
    for command in (build, pinned):
        assert dict(pairwise(command.words))["-f"] == "Containerfile"


@pytest.mark.slow
def test_the_verb_of_the_page_does_its_work(crop: Path, tmp_path: Path) -> None:
    _, use = page_block("docs/how-to/container.md", "docker build -f Containerfile -t medseg:1 .")
    words = use.words[use.words.index("medseg:1") + 1 :]
    folders = {"/in": crop, "/out": tmp_path / "out"}
    done = run_here(*(folders.get(word, word) for word in words))
    assert done.returncode == 0, done.stderr


@pytest.mark.peers
@pytest.mark.timeout(3600)
def test_the_commands_of_the_page(crop: Path, tmp_path: Path) -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("Docker does not run here")
    blocks = (
        page_block("docs/how-to/container.md", "docker build -f Containerfile -t medseg:1 ."),
        page_block(
            "docs/how-to/container.md",
            "docker buildx imagetools inspect docker.io/library/python:3.11.13-slim-bookworm",
        ),
    )
    (tmp_path / "results").mkdir()
    (tmp_path / "results").chmod(0o777)  # for the user 10001
    names = {"/data/scans": crop, "/data/results": tmp_path / "results", "medseg:1": "medseg:of-page"}
    for command in (command for block in blocks for command in block):
        own = command.with_names({old: new for old, new in names.items() if old in command.text})
        done = subprocess.run(["bash", "-c", own.text], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{own.text}: {done.stderr}"
        if digest := re.search(r"Digest:\s+(sha256:[0-9a-f]{64})", done.stdout):
            names["sha256:..."] = digest[1]
    assert list(tmp_path.glob("results/*/labels.nii.gz"))


@pytest.mark.slow
def test_a_task_is_done_without_root_network_and_writing(crop, tmp_path):
    if os.geteuid() or not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("needs root, unshare and setpriv to take everything away")
    folder = task(tmp_path / "task", crop, {"model": "hippocampus"})
    for name in ("in", "out"):  # as mercure leaves them
        (folder / name).chmod(0o777)
    confined = ["unshare", "--mount", "--net", "bash", str(Path(__file__).with_name("confined.sh")), str(folder)]
    command = [*confined, sys.executable, "-m", "medseg", "mercure"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode in (97, 99) or "unshare: " in done.stderr:
        pytest.skip(f"this system does not let its root do that: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    (case,) = json.loads((folder / "out" / "result.json").read_text())["cases"]
    assert case["state"] == "done"
    (made,) = (folder / "out").glob("*.dcm")
    assert made.stat().st_uid == 12345
