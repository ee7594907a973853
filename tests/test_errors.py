from __future__ import annotations

import pickle

from medseg.errors import InputError, Interrupted, MedsegError


def test_an_error_is_one_line_that_says_where_what_and_the_fix() -> None:
    error = InputError("the file\n  is truncated", where="a.nii.gz", fix="Copy it again.")
    assert str(error) == "a.nii.gz: the file is truncated. Copy it again."
    assert str(MedsegError("something is off")) == "something is off"


def test_an_error_survives_the_trip_between_processes() -> None:
    error = InputError("is truncated", where="a.nii.gz", fix="Copy it again.")
    # Only multiprocessing pickles errors; medseg itself never reads a pickle.
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (InputError, str(error))


def test_stopping_is_not_swallowed_by_handlers_of_errors() -> None:
    assert not issubclass(Interrupted, Exception)
