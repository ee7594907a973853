from __future__ import annotations

import ast
import pickle
from pathlib import Path

import medseg
from medseg.errors import InputError, Interrupted, MedsegError


def test_an_error_is_one_line_that_says_where_what_and_the_fix() -> None:
    error = InputError("the file\n  is truncated", where="a.nii.gz", fix="Copy it again.")
    assert str(error) == "a.nii.gz: the file is truncated. Copy it again."
    assert str(MedsegError("something is off")) == "something is off"
    assert str(MedsegError("no format. Did you mean 'nifti'?", fix="It was 'x'.")).endswith("'nifti'? It was 'x'.")


def test_an_error_survives_the_trip_between_processes() -> None:
    error = InputError("is truncated", where="a.nii.gz", fix="Copy it again.")
    # Only multiprocessing pickles errors; medseg itself never reads a pickle.
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (InputError, str(error))


def test_stopping_is_not_swallowed_by_handlers_of_errors() -> None:
    assert not issubclass(Interrupted, Exception)


def test_every_error_says_what_to_do_next() -> None:
    bases: dict[str, set[str]] = {}
    calls: list[tuple[str, str, set[str | None]]] = []
    for path in Path(medseg.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {_name(base) for base in node.bases}
            elif isinstance(node, ast.Call) and _name(node.func)[:1].isupper():
                given = {keyword.arg for keyword in node.keywords}
                calls.append((_name(node.func), f"{path}:{node.lineno}", given))
    kinds = {"MedsegError"}
    while more := {name for name, above in bases.items() if above & kinds} - kinds:
        kinds |= more
    assert {"UsageError", "ModelError", "ArchiveRefusal", "RevisionConflict", "NotPromoted"} <= kinds
    # Where a mapping is unpacked (None), it holds the fix.
    assert [where for name, where, given in calls if name in kinds and not given & {"fix", None}] == []


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
