"""What every verb has in common: the list of verbs, its log, its output folder and how it prints."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from medseg.cli.options import LOG, option
from medseg.errors import Interrupted, MedsegError
from medseg.harmless import one_line

if TYPE_CHECKING:
    from medseg.types.run import BatchResult, CaseOutcome


# Group of `medseg --help` -> verb -> module of medseg.cli that holds a function of the same name, or a Typer called
# `group` for verbs with verbs of their own.
VERBS: dict[str, dict[str, str]] = {
    "Segment": {name: name for name in ("demo", "predict", "run", "report", "serve", "mercure")},
    "Look at, convert and hand over": {
        name: name
        for name in ("inspect", "review", "follow", "crop", "convert", "export", "deidentify", "push", "pull")
    },
    "Train and measure": {
        name: name.replace("-", "_")
        for name in ("audit", "plan", "train", "label-next", "evaluate", "compare", "monitor", "bench")
    },
    "This installation": {name: name for name in ("models", "list", "copy", "schema", "doctor", "bundle")},
}

# Verbs that leave their log in the output folder. Those that work through a batch of cases do so themselves, and so
# does `deidentify`, whose log names no file, because that may name a patient.
LOGGED = (
    "agreement",
    "architectures",
    "audit",
    "compare",
    "evaluate",
    "export",
    "follow",
    "inspect",
    "monitor",
    "pull",
    "train",
)

# What holds the place to write to, by the name of the parameter, and what a user types.
OUTPUTS = {"out": "--out", "destination": "DEST", "new_dataset": "--dataset", "work": "--work"}

QuietOption = Annotated[bool, option(LOG, "--quiet", help="Log errors only.")]
VerboseOption = Annotated[bool, option(LOG, "--verbose", help="Log every step.")]
DebugOption = Annotated[bool, option(LOG, "--debug", help="Log every step, and print the traceback of an error.")]


@dataclass
class State:
    """How much is logged: what was asked for before the verb, within it or after it."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False

    def also(self, *, quiet: bool, verbose: bool, debug: bool) -> None:
        """Take the options of one place on the command line, beside those of others."""
        self.quiet, self.verbose, self.debug = self.quiet or quiet, self.verbose or verbose, self.debug or debug

    def start_log(self) -> None:
        """Send medseg's log to stderr."""
        if not log.handlers:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(_OneLine("%(message)s"))
            log.addHandler(handler)
            # Its warnings about odd header values are either an error of ours or of no use to the user.
            logging.getLogger("pydicom").setLevel(logging.ERROR)
            # What it says of a peer may quote what that sent, and medseg's own errors say what matters.
            logging.getLogger("pynetdicom").setLevel(logging.DEBUG if self.debug else logging.CRITICAL)
        all_of_it = self.debug or self.verbose
        log.setLevel(logging.DEBUG if all_of_it else logging.ERROR if self.quiet else logging.INFO)


class _OneLine(logging.Formatter):
    """Writes a message as one line, whatever breaks a name in it holds; tracebacks stay as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name is logging's)
        return one_line(super().formatMessage(record))


state = State()
log = logging.getLogger("medseg")
NOTHING_FOUND = "no scan was found; `medseg inspect` says what is in a folder"


def log_options(*, quiet: QuietOption = False, verbose: VerboseOption = False, debug: DebugOption = False) -> None:
    """Take the three options between the words of a verb such as `models show`."""
    state.also(quiet=quiet, verbose=verbose, debug=debug)


def verb(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Give a verb the three options every verb has, and check its output; its return value is the exit code."""
    signature = inspect.signature(function, eval_str=True)
    kinds = {name: {"DIR": True, "FILE": False}.get(_metavar(p) or "") for name, p in signature.parameters.items()}

    @functools.wraps(function)
    def with_log(*, quiet: bool, verbose: bool, debug: bool, **options: Any) -> int | None:
        try:
            state.also(quiet=quiet, verbose=verbose, debug=debug)
            state.start_log()
            out = options.get("out")
            _check_outputs(options, kinds)
            with _log_in(out) if function.__name__ in LOGGED and not options.get("dry_run") else nullcontext():
                return function(**options)
        except KeyboardInterrupt:
            raise Interrupted("SIGINT") from None  # Typer would end with a code of its own

    common = {"quiet": QuietOption, "verbose": VerboseOption, "debug": DebugOption}
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in common.items()
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    with_log.__signature__ = signature.replace(parameters=[*parameters, *added])  # type: ignore[attr-defined]
    with_log.__annotations__ = {p.name: p.annotation for p in [*parameters, *added]}
    return with_log


def _metavar(parameter: inspect.Parameter) -> str | None:
    """The word that stands for a parameter's value."""
    declared = getattr(parameter.annotation, "__metadata__", (None,))[0]
    return getattr(declared, "metavar", None)


def _check_outputs(options: Mapping[str, Any], is_folder: Mapping[str, bool | None]) -> None:
    from medseg.io.files.writable import check_writable

    for name, typed in OUTPUTS.items():
        if isinstance(place := options.get(name), Path):
            check_writable(place, where=f"{typed} {place}", is_folder=is_folder[name])


@contextmanager
def _log_in(out: Path | None) -> Iterator[None]:
    """Keep the log in a folder; leave no folder that holds nothing else where an error ended it at once."""
    from medseg.log_file import LOG_NAME, log_file

    if out is None:
        yield
        return
    is_new = not out.exists()
    try:
        with log_file(out):
            yield
    except MedsegError:
        if is_new and [path.name for path in out.iterdir()] == [LOG_NAME]:
            (out / LOG_NAME).unlink()
            out.rmdir()
        raise
    finally:
        if is_new and not state.quiet and (out / LOG_NAME).exists():
            sys.stderr.write(f"Every step is logged in {one_line(out / LOG_NAME)}.\n")


def print_json(content: Any) -> None:
    """Print data as JSON on stdout; what JSON has no word for, such as a path, becomes a string."""
    sys.stdout.write(json.dumps(content, indent=2, default=str) + "\n")


def _as_in_its_record(outcome: CaseOutcome) -> dict[str, Any]:
    """A case as JSON, its volumes by class, as in its status.json."""
    volumes = None if outcome.volumes is None else outcome.volumes.to_json()
    return asdict(outcome) | {"state": outcome.written_state, "volumes": volumes}


def print_result(result: BatchResult, *, json: bool, dry_run: bool = False) -> None:
    """Print how each case of a run ended on stdout, and say on stderr where to look.

    Without `json`, a tab-separated line a case: case id, state, results folder or reason, and before a run its scan.
    """
    from medseg.log_file import LOG_NAME

    if json:
        print_json(
            {
                "out": result.out,
                "exit_code": result.exit_code,
                "cases": [_as_in_its_record(outcome) for outcome in result.outcomes],
                "skipped": [{"file": item.path, "reason": item.reason, "fix": item.fix} for item in result.skipped],
            }
        )
    else:
        for outcome in result.outcomes:
            what = one_line(outcome.error or outcome.folder)
            if dry_run and not outcome.error:
                what = f"{what}\t{one_line(outcome.source)}"
            before = " (unchanged)" if outcome.state == "current" else ""
            sys.stdout.write(
                f"{one_line(outcome.case_id or outcome.source)}\t{outcome.written_state}{before}\t{what}\n"
            )
    counts = {
        "done": result.count("done"),
        "up to date": result.count("current"),
        "withheld": result.count("withheld"),
        "failed": result.count("failed"),
        "to do": result.count("pending"),
        "other file skipped" if len(result.skipped) == 1 else "other files skipped": len(result.skipped),
    }
    log.info("%s", ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "0 done")
    if not result.outcomes and result.elsewhere:
        log.info("no case falls to this shard; others have %d", result.elsewhere)
    elif not result.outcomes and not result.unfinished:
        log.error(NOTHING_FOUND)
    elif result.elsewhere is not None and not dry_run:
        log.info("once all shards have run: medseg report %s", result.out)
    elif not dry_run:
        log.info("look at %s; every step is in %s beside it", result.out / "report.html", LOG_NAME)
