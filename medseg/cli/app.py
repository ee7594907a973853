"""Runs the `medseg` command line, and turns errors and signals into one line and an exit code.

Little is imported here, so that a signal is heard from the first moments on.
"""

from __future__ import annotations

import os
import sys
import traceback
from io import TextIOWrapper
from typing import Any

from medseg.cli.quiet_libraries import quiet_libraries
from medseg.config.named_arguments import options_are_typed
from medseg.errors import OF_A_PATH, Interrupted, MedsegError, UsageError
from medseg.harmless import harmless_output
from medseg.signals import ignore_stops, stoppable


def main() -> None:
    """Run the command line and exit with its code.

    0 done, 1 a bug, 2 usage, 3 part of it failed or was withheld, 4 nothing to do or nothing worked, 75 stopped by a
    signal and resumable.
    """
    _open_standard_streams()
    try:
        with stoppable():
            code = run(sys.argv[1:])
    except Interrupted as stop:  # before or after what `run` guards
        code = _fail(str(stop), Interrupted.exit_code)
    ignore_stops()  # what is left is to delete temporary files
    sys.exit(code)


def _open_standard_streams() -> None:
    """Let what a caller closed (``>&-``, some services) lead nowhere, for output has to go somewhere.

    Else the next file opened, a label map for instance, has the number of standard error, and whatever a library in C
    complains of is written into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # else the children have none
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - by number, until the end
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the terminal's encoding does not have is written as what it is
            stream.reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    with harmless_output(), quiet_libraries():
        return _guarded(arguments)


def _guarded(arguments: list[str]) -> int:
    try:
        with stoppable(), options_are_typed():
            return _run(arguments)
    except MedsegError as error:
        return _fail(str(error), error.exit_code, error.code)
    except (Interrupted, KeyboardInterrupt) as stop:
        return _fail(str(stop) or "stopped; run the same command again to resume", Interrupted.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno in OF_A_PATH:
            place = error.filename2 or error.filename or "the output"  # of a copy, where it was to be
            fix = "Choose another place, or see whether the disk is full."
            refused = UsageError(f"nothing can be written there ({error.strerror})", where=place, fix=fix)
            return _fail(str(refused), refused.exit_code, refused.code)
        return _fail_bug(error)
    except Exception as error:
        return _fail_bug(error)


def _run(arguments: list[str]) -> int:
    if not arguments and "_MEDSEG_COMPLETE" not in os.environ:  # by which a shell asks for completions
        from medseg.cli.greeting import greeting

        sys.stdout.write(greeting())
        return 0
    import typer

    from medseg.cli.command import app
    from medseg.io.files.temporary import sweep_temporary

    sweep_temporary()
    try:
        return int(app(args=arguments, prog_name="medseg", standalone_mode=False) or 0)
    except typer.TyperException as error:
        return _fail_usage(error, arguments)
    except typer.Abort as stop:
        raise KeyboardInterrupt from stop


def _fail(message: str, code: int, kind: str | None = None) -> int:
    """Print what is wrong, and its kind in brackets: the documentation's page of errors has one part for each."""
    from medseg.cli.error_link import write_code
    from medseg.cli.verb import state

    if state.debug:
        traceback.print_exc(file=sys.stderr)
    sys.stderr.write(f"medseg: {message}{'' if message.endswith(('.', '?')) else '.'}")
    if kind is not None:
        write_code(kind, sys.stderr)
    sys.stderr.write("\n")
    return code


def _fail_bug(error: Exception) -> int:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return _fail(
        f"this is a bug in medseg: {type(error).__name__}: {error} ({where.filename}:{where.lineno}). "
        "Run it again with --debug and report what it prints.",
        1,
    )


def _fail_usage(error: Any, arguments: list[str]) -> int:
    """Say what is wrong with a command line; print the help where no argument was given."""
    from medseg.cli.usage import usage_message
    from medseg.cli.verb import state

    state.debug |= "--debug" in arguments  # one after what is wrong has not been read
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error.format_message()}\n")
        return 2
    return _fail(usage_message(error, arguments), 2, "E-usage")
