"""`medseg serve`: a DICOM node that segments what arrives and delivers the results."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from medseg.cli.help import VerbGroup
from medseg.cli.options import WHAT, JsonOption, SetOption, argument
from medseg.cli.serve_check import check
from medseg.cli.serve_options import NodeOption
from medseg.cli.serve_status import status
from medseg.cli.verb import print_json, verb

# What `medseg serve --config FILE` runs.
START = "start"
BEFORE_THE_VERB = ("--quiet", "--verbose", "--debug")
HELP = ("-h", "--help")
RUN_IT, LOOK = "Run it", "Look at and check"


class ServeGroup(VerbGroup):
    """Verbs, or the options of the node: a first word that is an option starts it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb of the node before its options."""
        first = next((at for at, word in enumerate(args) if word not in BEFORE_THE_VERB), None)
        if first is not None and args[first].startswith("-") and args[first] not in HELP:
            args = [*args[:first], START, *args[first:]]
        return super().parse_args(ctx, args)


group_class = ServeGroup
group = typer.Typer(
    no_args_is_help=True,
    help="""Run a DICOM node: studies arrive, the model of the first rule that fits segments each whole series, and
    the results are delivered; whatever was acknowledged survives a kill at any moment.

    `medseg serve --config node.yaml` starts it; `medseg serve VERB --help` shows the options of a verb.

    Example: medseg serve --config node.yaml
    """,
)


@verb
def start(config: NodeOption, settings: SetOption = None, json: JsonOption = False) -> int:
    """Start the node; it runs until a signal.

    Prints one line once it listens. SIGTERM or Ctrl-C stops it with exit code 75, and the same command resumes
    everything, as it does after a kill or a power cut.

    Example: medseg serve start --config node.yaml
    """
    from medseg.service.node.node import serve

    def announce(line: str) -> None:
        if json:
            print_json({"listening": line})
        else:
            typer.echo(line)
        sys.stdout.flush()

    serve(config, settings=settings or (), announce=announce)
    return 0


@verb
def retry(config: NodeOption, settings: SetOption = None, json: JsonOption = False) -> int:
    """Try again what failed for good and what a destination refused, once the cause is gone.

    May be called while the node runs.

    Example: medseg serve retry --config node.yaml
    """
    from medseg.counted import counted
    from medseg.service.node.jobs import retry as try_again
    from medseg.service.node.load import load_node
    from medseg.service.node.store import NodeStore

    loaded = load_node(config, settings or ())
    with NodeStore(loaded.folder, create=False) as store:
        jobs, deliveries = try_again(store, loaded.destinations)
    if json:
        print_json({"jobs": jobs, "deliveries": deliveries})
    else:
        typer.echo(f"Tried again: {counted(jobs, 'job')} and {counted(deliveries, 'delivery', 'deliveries')}")
    return 0


@verb
def dismiss(
    config: NodeOption,
    cases: Annotated[
        list[str] | None, argument(WHAT, "CASE", help="Case, as the list shows it. By default, everything on it.")
    ] = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Take off the list what somebody has seen: failed and withheld cases, deliveries, incomplete series.

    Deliveries are those refused, not committed to in time, or for a destination that node.yaml no longer has.

    Nothing is deleted, and what is dismissed is not tried again. May be called while the node runs.

    Example: medseg serve dismiss --config node.yaml mr-67ca2283a3
    """
    from medseg.service.node.jobs import dismiss as take_off
    from medseg.service.node.load import load_node
    from medseg.service.node.store import NodeStore

    loaded = load_node(config, settings or ())
    with NodeStore(loaded.folder, create=False) as store:
        count = take_off(store, loaded, cases or ())
    if json:
        print_json({"dismissed": count})
    else:
        typer.echo(f"{count} dismissed")
    return 0 if count or not cases else 4


group.command(START, rich_help_panel=RUN_IT)(start)
group.command("retry", rich_help_panel=RUN_IT)(retry)
group.command("dismiss", rich_help_panel=RUN_IT)(dismiss)
group.command("status", rich_help_panel=LOOK)(verb(status))
group.command("check", rich_help_panel=LOOK)(verb(check))
