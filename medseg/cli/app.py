"""The `medseg` command: collects the verbs, and turns errors into one line and an exit code."""

from __future__ import annotations

import inspect
import sys
import traceback
from importlib import import_module
from typing import Annotated, Any

import typer

from medseg.cli.help import VerbCommand, VerbGroup
from medseg.cli.options import LOG, option
from medseg.cli.usage import usage_message
from medseg.cli.verb import VERBS, DebugOption, QuietOption, VerboseOption, log_options, state, verb
from medseg.errors import OF_A_PATH, Interrupted, MedsegError
from medseg.signals import stoppable

app = typer.Typer(
    name="medseg",
    cls=VerbGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        sys.stdout.write(f"medseg {version('medseg')}\n")
        raise typer.Exit


@app.callback()
def _medseg(
    *,
    version: Annotated[  # noqa: ARG001 (its callback prints and ends)
        bool, option(LOG, "--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """From a folder of scans to reviewed, measured, exported masks.

    `medseg VERB --help` shows the options of a verb, with an example.

    Example: medseg predict scans/ --model hippocampus --out results
    """
    state.quiet, state.verbose, state.debug = quiet, verbose, debug


def _register() -> None:
    for title, verbs in VERBS.items():
        for name, module in verbs.items():
            loaded = import_module(f"medseg.cli.{module}")
            if hasattr(loaded, "group"):
                for command in loaded.group.registered_commands:
                    command.cls = VerbCommand
                    command.short_help = _first_sentence(command.callback.__doc__)
                loaded.group.callback()(log_options)
                summary = _first_sentence(loaded.group.info.help)
                kind = getattr(loaded, "group_class", VerbGroup)
                app.add_typer(loaded.group, name=name, cls=kind, short_help=summary, rich_help_panel=title)
            else:
                function = getattr(loaded, name)
                summary = _first_sentence(function.__doc__)
                app.command(name=name, cls=VerbCommand, short_help=summary, rich_help_panel=title)(verb(function))


def _first_sentence(text: str) -> str:
    """First paragraph of a description, whole, where a list would cut it to the terminal's width."""
    first, _, _ = inspect.cleandoc(text).partition("\n\n")
    return " ".join(first.split())


_register()


def main() -> None:
    """Run the command line and exit with its code.

    0 done, 1 a bug, 2 usage, 3 part of it failed or was withheld, 4 nothing to do or nothing worked, 75 stopped by a
    signal and resumable.
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        with stoppable():
            code = app(args=arguments, prog_name="medseg", standalone_mode=False)
    except MedsegError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail_usage(error, arguments)
    except (Interrupted, KeyboardInterrupt, typer.Abort) as stop:
        return _fail(str(stop) or "stopped; run the same command again to resume", Interrupted.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno in OF_A_PATH:
            return _fail(f"{error.filename or 'the output'}: nothing can be written there ({error.strerror})", 2)
        return _fail_bug(error)
    except Exception as error:
        return _fail_bug(error)
    return int(code or 0)


def _fail(message: str, code: int) -> int:
    if state.debug:
        traceback.print_exc(file=sys.stderr)
    sys.stderr.write(f"medseg: {message}{'' if message.endswith(('.', '?')) else '.'}\n")
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
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error.format_message()}\n")
        return 2
    return _fail(usage_message(error, arguments), 2)
