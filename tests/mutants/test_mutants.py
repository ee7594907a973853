"""The list of faults keeps up with the code, and what runs it tells killed from survived."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutants.run import Fault, problems, read_faults

RUN = Path(__file__).with_name("run.py")


def test_each_fault_still_fits_the_code():
    """Where this fails after a change: correct `old` in tests/mutants/faults.toml, so that the fault is tried again."""
    assert problems(read_faults()[0]) == []


@pytest.mark.parametrize(
    ("content", "old", "problem"),
    [("a = 1\n", "a = 1", None), ("a = 1\n", "a = 2", "0 times"), ("a = 1\na = 1\n", "a = 1", "2 times")],
)
def test_a_text_must_be_there_once(tmp_path, content, old, problem):
    (tmp_path / "toy.py").write_text(content)
    fault = Fault("toy", "toy.py", old, "a = 3", ("toy.py",))
    assert [problem in found for found in problems([fault], tmp_path)] == ([] if problem is None else [True])
    gone = Fault("toy", "toy.py", old, "a = 3", ("test_gone.py",))
    assert problems([gone], tmp_path) == ["toy: there is no file test_gone.py"]


def toy(root: Path, *faults: str) -> subprocess.CompletedProcess[str]:
    """Run the script on a project of three lines."""
    (root / "tests" / "mutants").mkdir(parents=True)
    (root / "toy.py").write_text("def double(x):\n    return 2 * x\n")
    (root / "tests" / "test_toy.py").write_text("from toy import double\n\ndef test():\n    assert double(2) == 4\n")
    entries = [
        f'[[fault]]\nname = "{new}"\nfile = "toy.py"\nold = "2 * x"\nnew = "{new}"\ntests = ["tests/test_toy.py"]\n'
        for new in faults
    ]
    (root / "tests" / "mutants" / "faults.toml").write_text("import_first = []\n" + "".join(entries))
    script = root / "tests" / "mutants" / "run.py"
    script.write_text(RUN.read_text())
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # which takes longer than all the rest
    return subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)


def test_killed_survived_and_no_python(tmp_path):
    done = toy(tmp_path, "3 * x", "x * x", "x +")
    assert done.returncode == 1, done.stdout + done.stderr
    ends = [line.split()[:2] for line in done.stdout.splitlines()[1:-1]]
    assert [end[0] for end in ends] == ["killed", "SURVIVED", "ERROR"]
    assert "tests/test_toy.py::test" in done.stdout
    assert "1 of 3 killed" in done.stdout


def test_tests_that_fail_without_a_fault_prove_nothing(tmp_path):
    (tmp_path / "conftest.py").write_text("raise RuntimeError\n")
    done = toy(tmp_path, "3 * x")
    assert done.returncode == 2
    assert "fail without any fault" in done.stderr
