"""Python's callers read of arguments, and whoever types a command reads of options."""

import inspect
import re

import pytest

import medseg
from medseg.cli.app import run
from medseg.config.arguments import check_arguments
from medseg.config.named_arguments import name_arguments, options_are_typed
from medseg.errors import MedsegError, UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Omit --folds.", "Omit `folds`."),
        ("--time-budget 2m or more", "`time_budget` 2m or more"),
        ("Fine-tune with --from, or write --set a=b.", "Fine-tune with `start`, or write `settings` a=b."),
        ("Give --model or --unknown.", "Give --model or --unknown."),
        ("see `medseg train --folds all`, or omit --folds", "see `medseg train --folds all`, or omit `folds`"),
        (
            "Run: medseg train DATASET --folds all. Omit --folds.",
            "Run: medseg train DATASET --folds all. Omit `folds`.",
        ),
        ("a--folds --folds-x", "a--folds --folds-x"),
    ],
)
def test_options_become_the_arguments_that_the_function_has(text, expected):
    known = ("folds", "time_budget", "start", "settings")
    error = UsageError(text, where=text, fix=text)
    name_arguments(error, known)
    assert (error.what, error.where, error.fix, error.args) == (expected, expected, expected, (expected,))
    typed = MedsegError(text)
    with options_are_typed():
        name_arguments(typed, known)
    assert typed.what == text


def test_an_error_keeps_its_kind_and_is_named_once():
    @check_arguments
    def inner(folds: str) -> None:
        raise UsageError(f"'{folds}' names no folds", where="--folds", fix="Omit --folds.")

    @check_arguments
    def outer(folds: str) -> None:
        inner(folds)

    with pytest.raises(UsageError, match=r"^`folds`: 'x' names no folds\. Omit `folds`\.$"):
        outer("x")


def test_an_argument_that_is_none_gets_the_one_that_was_meant():
    with pytest.raises(TypeError, match=r"^predict\(\) .*'overlop'\. Did you mean 'overlap'\?$"):
        medseg.predict(["x"], "hippocampus", "out", overlop=0.5)
    with pytest.raises(TypeError, match=r"^predict\(\) missing a required argument: 'inputs'$"):
        medseg.predict()


def test_the_same_mistake_is_told_to_each_in_their_words(tmp_path, capsys):
    with pytest.raises(UsageError, match=r"^`fold` 7: there is no such fold among 5"):
        medseg.audit(tmp_path, folds=5, fold=7)
    assert run(["audit", str(tmp_path), "--folds", "5", "--fold", "7"]) == 2
    assert capsys.readouterr().err.startswith("medseg: --fold 7: there is no such fold among 5")
    with pytest.raises(UsageError, match=r"^`fold` 7: "):
        medseg.audit(tmp_path, folds=5, fold=7)


@pytest.mark.parametrize("name", medseg.review.__all__)
def test_a_function_of_the_review_is_called_as_its_callers_write_it(name) -> None:
    function = getattr(medseg.review, name)
    required = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    called = "medseg.review" if name == "review" else f"medseg.review.{name}"
    with pytest.raises(medseg.ConfigError, match=rf"^{re.escape(called)}: "):
        function(**{one.name: object() for one in required})
