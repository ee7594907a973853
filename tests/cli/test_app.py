from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from medseg.cli.app import run
from medseg.cli.verb import VERBS


def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert run([verb, "--help"]) == 0
        text = capsys.readouterr().out
        # A verb with verbs of its own shows theirs; each of those has its example.
        assert "Example: medseg" in text or "Commands:" in text, verb


HELP = """
import sys
from medseg.cli.app import run
run(["--help"])
heavy = {"torch", "monai", "mlflow", "SimpleITK", "scipy", "pandas", "openvino", "matplotlib"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_help_imports_nothing_heavy_and_takes_under_half_a_second_of_cpu() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "predict" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


@pytest.mark.parametrize("arguments", [["nonsense"], ["predict"], ["predict", "x", "--nonsense"], ["copy", "predict"]])
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err
    assert not captured.out


def test_a_bug_is_one_line_and_a_traceback_only_with_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explode() -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("medseg.engine.catalog.catalog", explode)
    assert run(["list"]) == 1
    quiet = capsys.readouterr().err
    assert "bug in medseg: ZeroDivisionError: surprise" in quiet
    assert "Traceback" not in quiet
    assert run(["list", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_importing_medseg_imports_no_torch() -> None:
    code = "import medseg, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
