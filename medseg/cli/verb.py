"""What every verb has in common: the list of verbs, and --quiet, --verbose, --debug."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from medseg.types.run import BatchResult

__all__ = [
    "VERBS",
    "AllowUnevenOption",
    "DryRunOption",
    "JsonOption",
    "MaxMemoryOption",
    "MaxSecondsOption",
    "OverwriteOption",
    "SetOption",
    "ShardOption",
    "print_json",
    "print_result",
    "start_log",
    "state",
    "verb",
]

# Verb -> module of medseg.cli that holds a function of the same name, or a Typer called `group` for verbs with
# verbs of their own. Order is the order of `medseg --help`.
VERBS: dict[str, str] = {
    "demo": "demo",
    "predict": "predict",
    "inspect": "inspect",
    "convert": "convert",
    "export": "export",
    "deidentify": "deidentify",
    "push": "push",
    "pull": "pull",
    "audit": "audit",
    "plan": "plan",
    "train": "train",
    "evaluate": "evaluate",
    "compare": "compare",
    "bench": "bench",
    "models": "models",
    "run": "run",
    "list": "list",
    "copy": "copy",
    "schema": "schema",
    "doctor": "doctor",
}

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Change one value of the configuration; may be repeated."),
]
AllowUnevenOption = Annotated[
    bool, typer.Option("--allow-uneven", help="Resample missing or unevenly spaced slices instead of refusing.")
]
ShardOption = Annotated[str | None, typer.Option("--shard", metavar="K/N", help="Do only part K of N of the cases.")]
MaxMemoryOption = Annotated[
    float | None,
    typer.Option("--max-memory", metavar="GIB", help="Memory one case may use; else 9/10 of what is free."),
]
MaxSecondsOption = Annotated[
    float | None, typer.Option("--max-seconds", metavar="SECONDS", help="Time one case may take.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Do again what is already done.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@dataclass
class _State:
    debug: bool = False


state = _State()


def verb(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Give a verb the three options every verb has; its return value becomes the exit code."""

    @functools.wraps(function)
    def with_log(*, quiet: bool, verbose: bool, debug: bool, **options: Any) -> int | None:
        state.debug = debug
        start_log(logging.DEBUG if debug or verbose else logging.ERROR if quiet else logging.INFO)
        return function(**options)

    common = (
        ("quiet", "Log errors only."),
        ("verbose", "Log every step."),
        ("debug", "Log every step, and print a traceback when something goes wrong."),
    )
    signature = inspect.signature(function, eval_str=True)
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option(f"--{name}", help=text)],
        )
        for name, text in common
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    with_log.__signature__ = signature.replace(parameters=[*parameters, *added])  # type: ignore[attr-defined]
    with_log.__annotations__ = {p.name: p.annotation for p in [*parameters, *added]}
    return with_log


def start_log(level: int) -> None:
    """Send medseg's log to stderr at this level."""
    log = logging.getLogger("medseg")
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        # What it says of odd header values is either an error of ours or not worth a word to the user.
        logging.getLogger("pydicom").setLevel(logging.ERROR)
    log.setLevel(level)


def print_json(content: Any) -> None:
    """Print data as JSON on stdout; what JSON has no word for, such as a path, becomes a string."""
    sys.stdout.write(json.dumps(content, indent=2, default=str) + "\n")


def print_result(result: BatchResult, *, json: bool, dry_run: bool = False) -> None:
    """Print how each case of a run ended on stdout, and say on stderr where to look.

    Without `json`, a tab-separated line a case: case id, state, results folder or reason.
    """
    if json:
        print_json(
            {
                "out": result.out,
                "exit_code": result.exit_code,
                "cases": [asdict(outcome) for outcome in result.outcomes],
                "skipped": [{"file": item.path, "reason": item.reason, "fix": item.fix} for item in result.skipped],
            }
        )
    else:
        for outcome in result.outcomes:
            what = outcome.error if outcome.state == "failed" else outcome.folder
            sys.stdout.write(f"{outcome.case_id or outcome.source}\t{outcome.state}\t{what}\n")
    log = logging.getLogger("medseg")
    done, old, failed = (result.count(state) for state in ("done", "current", "failed"))
    log.info(
        "%d done, %d up to date, %d failed, %d to do, %d other files skipped",
        done,
        old,
        failed,
        result.count("pending"),
        len(result.skipped),
    )
    if not result.outcomes:
        log.error("no scan was found; `medseg inspect` says what is in a folder")
    elif not dry_run:
        log.info("look at %s", result.out / "report.html")
