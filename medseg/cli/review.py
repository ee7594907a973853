"""`medseg review`: results in a browser, corrected and judged; and what becomes of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from medseg.cli.help import VerbCommand, VerbGroup
from medseg.cli.options import INPUT, NETWORK, RUN, WHAT, JsonOption, argument, option
from medseg.cli.review_agreement import agreement
from medseg.cli.review_export import export
from medseg.cli.review_import import import_labels
from medseg.cli.review_options import ReviewedArgument, ScansOption, reviewer_option
from medseg.cli.review_status import status
from medseg.cli.review_verify import verify
from medseg.cli.verb import print_json, verb
from medseg.config.bounds import AtLeast1, Duration
from medseg.errors import did_you_mean

# What `medseg review DIR` runs. A folder of any name may be given, this one too: see `ReviewGroup`.
BROWSER = "results"
PAGE, MOVE, CHECK = "Read and correct", "Bring in and pass on", "Look at and check"
BEFORE_THE_VERB = ("--quiet", "--verbose", "--debug")


class ReviewGroup(VerbGroup):
    """Verbs, or the folder to review: a first word that is none of the verbs is DIR."""

    def shown_name(self, name: str) -> str:
        """The folder stands for the verb of the page."""
        return "DIR" if name == BROWSER else name

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb of the page before a folder."""
        first = next((at for at, word in enumerate(args) if word not in BEFORE_THE_VERB), None)
        if first is not None and not self._means_a_verb(args[first], args[first + 1 :]):
            args = [*args[:first], BROWSER, *args[first:]]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Call the verb of the page by the folder that stands for it, in its `--help` and in errors."""
        name, command, rest = super().resolve_command(ctx, args)
        return self.shown_name(name or ""), command, rest

    def _is_verb(self, word: str, rest: list[str]) -> bool:
        """Whether a first word is a verb; that of the page, when it is followed by a folder."""
        if word == BROWSER:
            return bool(rest) and not rest[0].startswith("-")
        return word in self.commands or word in ("-h", "--help")

    def _means_a_verb(self, word: str, rest: list[str]) -> bool:
        """Whether a first word is a verb, or no folder and nearly a verb, to be refused with the one that was meant."""
        if self._is_verb(word, rest):
            return True
        verbs = [name for name in self.commands if name != BROWSER]
        return not word.startswith("-") and not Path(word).exists() and bool(did_you_mean(word, verbs))


class PageCommand(VerbCommand):
    """The verb of the page, which has no word of its own."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what must be typed after the folder."""
        return super().collect_usage_pieces(ctx)[1:]


group_class = ReviewGroup
group = typer.Typer(
    no_args_is_help=True,
    help="""Review results in a browser: look at, correct, accept or reject each case; take corrections from other
    programs, pass them on, compare readers, and say where that stands.

    `medseg review DIR` opens the page; `medseg review DIR --help` shows its options, `medseg review VERB --help` those
    of a verb. A folder that is called like a verb is given as ./status.

    Example: medseg review results
    """,
)


@verb
def results(
    folder: ReviewedArgument,
    more_scans: Annotated[
        list[Path] | None,
        argument(INPUT, "SCANS", help="Further folders for --scans.", exists=True, hidden=True),
    ] = None,
    scans: ScansOption = None,
    reviewer: Annotated[
        str | None,
        reviewer_option("Who reads. By default, the user of this machine."),
    ] = None,
    blind: Annotated[
        bool, option(WHAT, "--blind", help="Show this reader's own work only, in an order of their own.")
    ] = False,
    blind_model: Annotated[
        bool, option(WHAT, "--blind-model", help="Hide the model's labels too, so that the reader draws unaided.")
    ] = False,
    sample: Annotated[
        int | None,
        option(
            WHAT,
            "--sample",
            help="Read this many cases drawn at random, at least 1, for an unbiased error rate.",
            metavar="N",
            kind=AtLeast1,
        ),
    ] = None,
    adjudicate: Annotated[
        list[str] | None,
        option(
            WHAT,
            "--adjudicate",
            help="Reader to settle the cases of, given twice: both outlines are shown, as A and B.",
            metavar="NAME",
        ),
    ] = None,
    port: Annotated[
        int,
        option(NETWORK, "--port", help="Port, 0 to 65535; 0 takes any that is free.", metavar="PORT", min=0, max=65535),
    ] = 0,
    host: Annotated[
        str,
        option(NETWORK, "--host", help="Address; any but this machine's own needs TLS.", metavar="ADDRESS"),
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        option(
            NETWORK,
            "--allow-host",
            help="Further name that browsers may call this server by; may be repeated.",
            metavar="NAME",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        option(NETWORK, "--tls-cert", help="Certificate, in PEM.", metavar="FILE", exists=True, dir_okay=False),
    ] = None,
    tls_key: Annotated[
        Path | None,
        option(
            NETWORK, "--tls-key", help="Key of the certificate, in PEM.", metavar="FILE", exists=True, dir_okay=False
        ),
    ] = None,
    trust_header: Annotated[
        str | None,
        option(
            NETWORK,
            "--trust-header",
            help="Header in which your proxy names the person it has signed in, in place of the key.",
            metavar="NAME",
        ),
    ] = None,
    idle: Annotated[
        str,
        option(
            RUN,
            "--idle",
            help="Stop after this time without anybody at work, such as 90s, 20m or 8h.",
            metavar="TIME",
            kind=Duration,
        ),
    ] = "8h",
    clicks: Annotated[
        str | None,
        option(
            WHAT,
            "--clicks",
            help="Model of medseg train --interactive that answers clicks; by default a random walker does.",
            metavar="MODEL",
        ),
    ] = None,
    assist: Annotated[
        str | None,
        option(
            NETWORK,
            "--assist",
            help="An nnInteractive server that answers clicks; it is sent the voxels. Needs the extra assist.",
            metavar="ADDRESS",
        ),
    ] = None,
    no_browser: Annotated[bool, option(RUN, "--no-browser", help="Open no browser; print the address only.")] = False,
    json: JsonOption = False,
) -> int:
    """Open the page for a folder of results.

    Prints one line, the address with its key, and serves it to this machine alone until Ctrl-C. Corrections and
    verdicts are kept in DIR/review; nothing in a case's folder is touched, and the same command resumes.

    Example: medseg review results --scans scans/ --reviewer "A. Reader"
    """
    from medseg.review.review_page import review

    def announce(address: str) -> None:
        if json:
            print_json({"address": address})
        else:
            typer.echo(address)

    review(
        folder,
        scans=[*(scans or ()), *(more_scans or ())],
        reviewer=reviewer,
        blind=blind,
        blind_model=blind_model,
        sample=sample,
        adjudicate=adjudicate or (),
        port=port,
        host=host,
        allow_host=allow_host or (),
        tls_cert=tls_cert,
        tls_key=tls_key,
        trust_header=trust_header,
        idle=idle,
        clicks=clicks,
        assist=assist,
        no_browser=no_browser,
        announce=announce,
    )
    return 0


def _add(name: str, panel: str, function: Callable[..., int | None], cls: type[VerbCommand] = VerbCommand) -> None:
    group.command(name, rich_help_panel=panel, cls=cls)(function)


_add(BROWSER, PAGE, results, PageCommand)
_add("import", MOVE, verb(import_labels))
_add("export", MOVE, verb(export))
_add("agreement", CHECK, verb(agreement))
_add("status", CHECK, verb(status))
_add("verify", CHECK, verb(verify))
