"""Puts small faults into a copy of the code, one at a time, and says which of them no fast test catches.

    python tests/mutants/run.py             every fault; exits with 1 where one survives
    python tests/mutants/run.py muon ema    those whose names hold one of these words
    python tests/mutants/run.py --check     only that each text to replace is found, and found once

The faults are in faults.toml, each with the test files that must catch it. They are run once without any fault first.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).with_name("faults.toml")
# A fault may make a loop endless; no honest run of a few test files takes as long. Without a fault nothing is endless.
LONGEST = 600
FAILED = 1  # pytest's exit status where tests ran and some failed


@dataclass(frozen=True)
class Fault:
    """A text to replace by another in one file, and the tests that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """Content of the file with the fault in it."""
        path = root / self.file
        if not path.is_file():
            raise ValueError(f"{self.name}: there is no file {self.file}")
        if missing := [test for test in self.tests if not (root / test.partition("::")[0]).is_file()]:
            raise ValueError(f"{self.name}: there is no file {missing[0]}")
        content = path.read_text(encoding="utf-8")
        if (times := content.count(self.old)) != 1:
            raise ValueError(f"{self.name}: {self.old!r} is {times} times in {self.file}, not once")
        return content.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """What a run of tests came to."""

    status: int
    seconds: float
    first_failure: str
    output: str


def read_faults(path: Path = FAULTS) -> tuple[tuple[Fault, ...], tuple[str, ...]]:
    """Faults of the list, in its order, and the modules to import once for all of them."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    faults = tuple(Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in content["fault"])
    if len({fault.name for fault in faults}) < len(faults):
        raise ValueError(f"two faults in {path.name} have one name")
    return faults, tuple(content["import_first"])


def problems(faults: Sequence[Fault], root: Path = ROOT) -> list[str]:
    """What is wrong with the list: texts that are not in their files once, files that are gone."""
    found = []
    for fault in faults:
        try:
            fault.applied(root)
        except ValueError as error:
            found.append(str(error))
    return found


def copy_tree(root: Path, target: Path) -> None:
    """Copy the files git knows or does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target / name)


def run_tests(tree: Path, tests: Sequence[str], longest: float | None = LONGEST) -> Outcome:
    """Run some test files on a tree until the first fails, in a process of their own."""
    output = tree.with_name(f"{tree.name}.txt")
    began = time.monotonic()
    child = multiprocessing.get_context("fork").Process(target=_run_here, args=(tree, tests, output))
    child.start()
    child.join(longest)
    if child.is_alive():
        child.kill()
        child.join()
        return Outcome(FAILED, time.monotonic() - began, "(no end)", "")
    text = output.read_text(encoding="utf-8", errors="replace")
    failure = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    return Outcome(child.exitcode or 0, time.monotonic() - began, failure.group(1) if failure else "", text)


def _run_here(tree: Path, tests: Sequence[str], output: Path) -> None:
    """Become the process that runs the tests."""
    import pytest

    stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(stream, descriptor)
    os.chdir(tree)
    # Nothing compiled is kept: a fault as long as what it replaces, within a second, must not be overlooked.
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path.insert(0, str(tree))
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])
    sys.stdout.flush()
    os._exit(int(code))


def import_first(modules: Sequence[str]) -> None:
    """Import what takes long and holds no fault, once for every process forked from here on."""
    os.environ |= {"OMP_NUM_THREADS": "1"}
    for name in ("pytest", *modules):
        importlib.import_module(name)
    assert "medseg" not in sys.modules


def try_fault(tree: Path, fault: Fault) -> Outcome:
    """Run a fault's tests with it in place, and put the file back."""
    path = tree / fault.file
    before = path.read_text(encoding="utf-8")
    path.write_text(fault.applied(tree), encoding="utf-8")
    try:
        return run_tests(tree, fault.tests)
    finally:
        path.write_text(before, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only faults whose names hold one of these")
    parser.add_argument("--check", action="store_true", help="only check the list")
    options = parser.parse_args(arguments)
    listed, modules = read_faults()
    faults = [f for f in listed if not options.words or any(word in f.name for word in options.words)]
    if wrong := problems(faults):
        print("\n".join(wrong), file=sys.stderr)
        return 2
    if options.check:
        print(f"{len(faults)} faults, each text found once")
        return 0
    import_first(modules)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copy_tree(ROOT, tree)
        sound = run_tests(tree, sorted({test for fault in faults for test in fault.tests}), None)
        if sound.status != 0:
            print(f"{sound.output[-3000:]}\nthe tests fail without any fault", file=sys.stderr)
            return 2
        print(f"without a fault all tests pass ({sound.seconds:.0f} s)", flush=True)
        survivors = 0
        for fault in faults:
            outcome = try_fault(tree, fault)
            # Anything else than a failed test, such as a fault that is no Python, proves nothing.
            killed = outcome.status == FAILED
            survivors += not killed
            end = "killed" if killed else "SURVIVED" if outcome.status == 0 else f"ERROR {outcome.status}"
            print(f"{end:10} {outcome.seconds:5.1f} s  {fault.name:60} {outcome.first_failure}", flush=True)
    print(f"{len(faults) - survivors} of {len(faults)} killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
