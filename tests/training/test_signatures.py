"""What is fixed for a training travels as one `TrainingRun`: no function takes a long list of parameters."""

import ast
from pathlib import Path

import pytest

import medseg

PACKAGES = ("training", "tracking", "bench")
MOST = 5
# The front doors: their options are the command line's.
ALLOWED = {"training/run.py:train", "training/plan.py:plan"}


def functions() -> list[tuple[str, int]]:
    """Every function as package/file.py:name, and how many parameters it takes, self and cls excluded."""
    root = Path(medseg.__file__).parent
    found = []
    for path in (path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = node.args
                names = [a.arg for a in (*own.posonlyargs, *own.args, *own.kwonlyargs) if a.arg not in ("self", "cls")]
                count = len(names) + (own.vararg is not None) + (own.kwarg is not None)
                found.append((f"{path.relative_to(root).as_posix()}:{node.name}", count))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_takes_more_than_five_parameters(package):
    counted = [(name, count) for name, count in functions() if name.startswith(package) and name not in ALLOWED]
    assert counted
    assert [name for name, count in counted if count > MOST] == []
