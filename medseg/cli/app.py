"""The `medseg` command: collects the verbs, and turns errors into one line and an exit code."""

from __future__ import annotations

import inspect
import sys
import traceback

import typer

from medseg.cli.verb import VERBS, state, verb
from medseg.errors import Interrupted, MedsegError

__all__ = ["app", "main"]

app = typer.Typer(
    name="medseg",
    help="From a folder of scans to reviewed, measured, exported masks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def _medseg() -> None:
    """From a folder of scans to reviewed, measured, exported masks."""


def _register() -> None:
    from importlib import import_module

    for name, module in VERBS.items():
        loaded = import_module(f"medseg.cli.{module}")
        if hasattr(loaded, "group"):
            app.add_typer(loaded.group, name=name)
            _summarize(loaded.group)
        else:
            app.command(name=name)(verb(getattr(loaded, name)))
    _summarize(app)


def _summarize(verbs: typer.Typer) -> None:
    """Give a list of verbs their first sentences whole, where it would cut them to the terminal's width."""
    for command in verbs.registered_commands:
        first, _, _ = inspect.cleandoc(command.callback.__doc__ or "").partition("\n\n")
        command.short_help = " ".join(first.split())


_register()


def main() -> None:
    """Run the command line and exit with its code.

    0 done, 1 a bug, 2 usage, 3 part of it failed, 4 nothing to do or nothing worked, 75 stopped by a signal and
    resumable.
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        code = app(args=arguments, prog_name="medseg", standalone_mode=False)
    except MedsegError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        _show_usage(error)
        return error.exit_code
    except (Interrupted, KeyboardInterrupt, typer.Abort) as stop:
        return _fail(str(stop) or "stopped; run the same command again to go on", Interrupted.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return _fail(
            f"this is a bug in medseg: {type(error).__name__}: {error} ({where.filename}:{where.lineno}). "
            "Run it again with --debug and report what it prints.",
            1,
        )
    return int(code or 0)


def _fail(message: str, code: int) -> int:
    if state.debug:
        traceback.print_exc(file=sys.stderr)
    sys.stderr.write(f"medseg: {message}\n")
    return code


def _show_usage(error: typer.TyperException) -> None:
    """Print a wrong command line the way Typer does, help included where no argument was given."""
    show = getattr(error, "show", None)
    if show is None:
        sys.stderr.write(f"medseg: {error}\n")
    else:
        show()
