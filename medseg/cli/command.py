"""The `medseg` command line: every verb, with its group and its help."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import Annotated

import typer

from medseg.cli.help import VerbCommand, VerbGroup
from medseg.cli.options import LOG, option
from medseg.cli.verb import VERBS, DebugOption, QuietOption, VerboseOption, log_options, state, verb

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

    `medseg VERB --help` shows the options of a verb, with an example. A message ends with a code, such as [E-input],
    which https://medseg.readthedocs.io/page/reference/errors.html explains.

    Example: medseg predict scans/ --model hippocampus --out results
    """
    state.quiet, state.verbose, state.debug = quiet, verbose, debug


def _register() -> None:
    for title, verbs in VERBS.items():
        for name, module in verbs.items():
            loaded = import_module(f"medseg.cli.{module}")
            if hasattr(loaded, "group"):
                for command in loaded.group.registered_commands:
                    if command.cls is None or not issubclass(command.cls, VerbCommand):
                        command.cls = VerbCommand
                    command.short_help = _first_sentence(command.callback.__doc__)
                loaded.group.callback()(log_options)
                summary = _first_sentence(loaded.group.info.help)
                kind = getattr(loaded, "group_class", VerbGroup)
                app.add_typer(loaded.group, name=name, cls=kind, short_help=summary, rich_help_panel=title)
            else:
                function = getattr(loaded, module)
                summary = _first_sentence(function.__doc__)
                app.command(name=name, cls=VerbCommand, short_help=summary, rich_help_panel=title)(verb(function))


def _first_sentence(text: str) -> str:
    """First paragraph of a description, whole, where a list would cut it to the terminal's width."""
    first, _, _ = inspect.cleandoc(text).partition("\n\n")
    return " ".join(first.split())


_register()
