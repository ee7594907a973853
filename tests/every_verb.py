"""Every verb there is, and which of them a command line runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any

Verb = tuple[str, ...]
# Verbs that run until they are stopped, or need somebody to answer them; and the test that runs each, of
# tests/privacy/test_services.py.
SERVED: dict[Verb, str] = {
    ("review", "results"): "test_no_answer_of_the_review_has_a_marker",
    ("pull",): "test_what_is_fetched_names_nobody",
    ("serve", "start"): "test_a_node_tells_nobody_whose_scans_it_has",
    ("serve", "status"): "test_a_node_tells_nobody_whose_scans_it_has",
    ("serve", "check"): "test_the_check_of_rules_names_nobody",
    ("serve", "retry"): "test_a_node_tells_nobody_whose_scans_it_has",
    ("serve", "dismiss"): "test_a_node_tells_nobody_whose_scans_it_has",
}


def every_verb() -> set[Verb]:
    """Words of each verb, such as ``("models", "show")``; `medseg review DIR` is ``("review", "results")``."""
    import typer

    from medseg.cli.command import app

    return set(_leaves(typer.main.get_command(app), ()))


def _leaves(command: Any, words: Verb) -> Iterator[Verb]:
    verbs = getattr(command, "commands", None)
    if verbs is None:
        yield words
        return
    for name, one in verbs.items():
        yield from _leaves(one, (*words, name))


def steps(line: str) -> list[str]:
    """Return the commands of a line, which are separated as in a shell."""
    return [step.strip() for step in line.split("&&")]


def verbs_of(lines: Iterable[str]) -> set[Verb]:
    """Return the verbs that lines run; a word that is none counts too, so that it is noticed."""
    known = every_verb()
    words = [tuple(shlex.split(step)) for line in lines for step in steps(line)]
    return {two if (two := one[:2]) in known else one[:1] for one in words}
