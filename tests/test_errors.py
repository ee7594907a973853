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


def test_every_error_of_reading_and_writing_says_the_fix() -> None:
    kinds = {"InputError", "UsageError", "FormatLimitation", "GeometryMismatch", "ResourceLimit", "ArchiveError"}
    missing = [
        f"{path}:{call.lineno}"
        for package in ("cli", "data", "isolation", "io", "locate", "privacy", "review", "service", "types")
        for path in Path(medseg.__file__).with_name(package).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in kinds
        if "fix" not in {keyword.arg for keyword in call.keywords}
    ]
    assert not missing
