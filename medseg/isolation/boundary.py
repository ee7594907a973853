"""The boundary around one input: nothing it raises leaves its case, and what is unexpected gets a number to report."""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from medseg.errors import InputError, Interrupted, MedsegError, ResourceLimit, UnforeseenError

log = logging.getLogger("medseg.isolation")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# These ask the whole process to stop. Everything else, also what is no `Exception`, such as the panics of libraries
# written in Rust or a `SystemExit` of a command-line program used as a library, belongs to the input.
STOPS = (Interrupted, KeyboardInterrupt)
WORDS: dict[type[BaseException], str] = {
    RecursionError: "it is nested too deeply",
    EOFError: "it ends too early",
    NotImplementedError: "in a way that nothing here reads",
    MemoryError: "it needs more memory than there is",
}
PACKAGE = Path(__file__).parents[1]


def attempt(
    function: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs
) -> Result | MedsegError:
    """Call a function for one input; return what it returns, or what it raises as an error that says what to do."""
    try:
        return function(*arguments, **options)
    except STOPS:
        raise
    except BaseException as error:
        return as_failure(error)


def insist(function: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
    """Call a function for the one input there is; raise what it raises as an error that says what to do."""
    result = attempt(function, *arguments, **options)
    if isinstance(result, MedsegError):
        raise result
    return result


def bounded(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a function that reads or writes one input: whatever it raises is an error that says what to do.

    What was not foreseen names the file, where the first argument is one.
    """

    @wraps(function)
    def call(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return function(*arguments, **options)
        except (*STOPS, MedsegError):
            raise
        except BaseException as error:
            failed = as_failure(error)
            where = arguments[0] if arguments and isinstance(arguments[0], Path | str) else None
            raise type(failed)(failed.what, where=where, fix=failed.fix) from error

    return call


def as_failure(error: BaseException) -> MedsegError:
    """Turn any exception into an error of medseg.

    What was not foreseen gets a report number and loses its text, which may quote the patient; a log on the debug
    level has the traceback.
    """
    if isinstance(error, MedsegError):
        return error
    if isinstance(error, MemoryError):
        return ResourceLimit("there is not enough memory for this case", fix="Use a machine with more memory.")
    if isinstance(error, RecursionError):
        return InputError("it is nested too deeply to be read", fix="Write it again with the program that made it.")
    if isinstance(error, OSError) and error.strerror:
        return UnforeseenError(error.strerror, fix="Check that the file can be read and the disk is not full.")
    return UnforeseenError(
        f"an unexpected error ended this case ({type(error).__name__}, {reported(error)})",
        fix="Run this one case again with --debug, and report the number and what it prints.",
    )


def in_words(error: BaseException) -> str:
    """Return what kind of error it is, where its text may quote the patient: in words, or as a number to report."""
    return next((words for kind, words in WORDS.items() if isinstance(error, kind)), "") or reported(error)


def reported(error: BaseException) -> str:
    """Return the report number of an error, in words; a log on the debug level has the traceback under it."""
    number = report_number(error)
    log.debug("report %s", number, exc_info=error)
    return f"report {number}"


def report_number(error: BaseException) -> str:
    """Return a number that is the same wherever the same lines of code fail in the same way, whatever the input."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if PACKAGE in Path(f.filename).parents]
    return hashlib.sha256(" ".join((type(error).__name__, *places)).encode()).hexdigest()[:8]
