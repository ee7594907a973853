"""Says what is wrong with a command line, naming the option the way the user typed it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from medseg.cli.spelling import placeholder
from medseg.errors import did_you_mean

# What other tools of the field call what a verb does.
ELSEWHERE = {
    "segment": "predict",
    "infer": "predict",
    "inference": "predict",
    "fit": "train",
    "finetune": "train",
    "validate": "evaluate",
    "preprocess": "plan",
    "anonymize": "deidentify",
    "view": "review",
    "annotate": "review",
}


def usage_message(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Return one sentence such as ``--overlap 2: must be between 0 and 0.9.``, and where the options are shown."""
    message = _message(error, arguments).strip()
    context = getattr(error, "ctx", None)
    if message.endswith("?"):
        return message
    shown = "verbs" if context is not None and hasattr(context.command, "commands") else "options"
    hint = "" if context is None else f" `{context.command_path} --help` shows the {shown}."
    return f"{message.rstrip('.')}.{hint}"


def _message(error: Any, arguments: Sequence[str]) -> str:
    kind = type(error).__name__
    if kind == "NoSuchOption":
        options = [name for param in error.ctx.command.params for name in param.opts]
        # The dashes that all begin with make none of them alike.
        near = did_you_mean(error.option_name.lstrip("-"), [name.lstrip("-") for name in options if len(name) > 2])
        near = near.replace("mean '", "mean '--")
        return f"there is no option {error.option_name}. {near}"
    if kind == "BadOptionUsage":
        return _without_value(error)
    if kind == "MissingParameter":
        return _missing(error.param)
    if getattr(error, "param", None) is not None:
        return _wrong_value(error, error.param, arguments)
    return _wrong_line(error)


def _without_value(error: Any) -> str:
    """An option that needs a value and has none, or the other way round."""
    name = error.option_name
    if "not take a value" in error.message:
        return f"{name} takes no value, so write {name} alone"
    param = next((param for param in error.ctx.command.params if name in param.opts), None)
    return f"{name} needs a value, so write {name} {'VALUE' if param is None else placeholder(param)}"


def _missing(param: Any) -> str:
    name = placeholder(param)
    if param.param_type_name == "option":
        name = max(param.opts, key=len)
        return f"{name} is missing, so add {name} {placeholder(param)}: {_within(param.help)}"
    return f"{name} is missing, so add it: {_within(param.help)}"


def _within(sentence: str) -> str:
    """A sentence of help to stand behind a colon; a name at its beginning keeps its capital."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def _wrong_line(error: Any) -> str:
    """What is wrong with no single option."""
    message = str(error.message)
    if match := re.match(r"No such command '(.*?)'\.?", message):
        verbs = list(error.ctx.command.commands)
        meant = ELSEWHERE.get(match[1])
        near = f"Did you mean '{meant}'?" if meant in verbs else did_you_mean(match[1], verbs)
        return f"there is no verb '{match[1]}'. {near}"
    if message.startswith("Missing command"):
        return f"a verb is missing, so add one of {', '.join(error.ctx.command.commands)}"
    if match := re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", message):
        return f"'{match[1]}' is more than `{error.ctx.command_path}` takes"
    return message[0].lower() + message[1:]


def _wrong_value(error: Any, param: Any, arguments: Sequence[str]) -> str:
    if missing := re.search(r"'(.*)' does not exist", error.message):
        name = next((o for o in param.opts if o in arguments), param.opts[0])
        name = name if param.param_type_name == "option" else placeholder(param)
        return f"{name} {missing[1]}: there is no such file or folder"
    if kind := re.search(r"is a (file|directory)", error.message):
        must = {"directory": "a file, and this is a folder", "file": "a folder, and this is a file"}[kind[1]]
        return f"{_typed(param, arguments, str(error.message))}: must be {must}"
    return f"{_typed(param, arguments, str(error.message))}: {_reason(error, param, arguments)}"


def _occurrences(param: Any, arguments: Sequence[str]) -> list[tuple[str, str]]:
    """An option and its values as they stand on the command line."""
    found = []
    for here, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = here.partition("=")
        if name in param.opts:
            found.append((name, value if equals else following))
        elif here[:2] in param.opts and not here.startswith("--"):
            found.append((here[:2], here[2:]))
    return found


def _typed(param: Any, arguments: Sequence[str], message: str) -> str:
    """Return an option and its wrong value as they stand on the command line; of several, the one the error names."""
    found = _occurrences(param, arguments)
    if not found:
        return placeholder(param)
    name, value = next((one for one in found if repr(one[1]) in message), found[-1])
    return f"{name} {value}".rstrip()


def _reason(error: Any, param: Any, arguments: Sequence[str]) -> str:
    if (own := str(error.message)).startswith("must "):  # of a kind in medseg.config.bounds
        return own
    kind = param.type_descriptor
    if kind.is_choice:
        known = [str(choice) for choice in kind.choices]
        given = next((value for _, value in _occurrences(param, arguments)), "")
        return f"must be one of {', '.join(known)}. {did_you_mean(given, known)}"
    low, high = getattr(param, "min", None), getattr(param, "max", None)
    number = {"int": "a whole number", "float": "a number"}.get(param.bare_type().removeprefix("list[").rstrip("]"))
    must = f"must be {number}" if number and "valid" in str(error.message) else "must be"
    if low is not None and high is not None:
        return f"{must} between {low:g} and {high:g}"
    if low is not None or high is not None:
        return f"{must} at least {low:g}" if high is None else f"{must} at most {high:g}"
    return must if must != "must be" else str(error.message).removeprefix("Value error, ")
