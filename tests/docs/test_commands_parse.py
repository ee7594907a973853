"""Every command that a page shows is one that the command line takes: verbs, options, choices, how many arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from page_commands import (
    NEEDS,
    NOTE,
    PAGES,
    ROOT,
    Command,
    commands,
    every_command,
    mentions,
    page_block,
    taken_blocks,
)

PLACEHOLDER = {"VERB": "predict"}


@pytest.fixture(scope="module")
def root() -> Any:
    from medseg.cli.command import app

    return typer.main.get_command(app)


@contextmanager
def paths_need_not_exist(command: Any) -> Iterator[None]:
    """Take names of files that are not here."""
    infos = (param.type_descriptor.parameter_info for param in command.params)
    kinds = [info for info in infos if getattr(info, "exists", False)]
    for kind in kinds:
        kind.exists = False
    try:
        yield
    finally:
        for kind in kinds:
            kind.exists = True


def leaf(command: Any, words: list[str]) -> tuple[Any, list[str]]:
    """The verb that words run, and its arguments."""
    while hasattr(command, "commands") and words:
        context = command.make_context("medseg", list(words), resilient_parsing=True)
        rest = [*context._protected_args, *context.args]
        if not rest or rest[0].startswith("-"):
            return command, rest
        _, found, after = command.resolve_command(context, rest)
        if found is None:
            raise ValueError(f"there is no verb {rest[0]}")
        command, words = found, after
    return command, words


def parse(root: Any, text: str) -> None:
    """Parse a command as the command line does, with files that need not be there."""
    command, words = leaf(root, shlex.split(text, comments=True)[1:])
    if {"--help", "--version"} & set(words):
        return
    with paths_need_not_exist(command):
        command.make_context("medseg", list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_the_page_is_taken(root: Any, page: Path) -> None:
    for command in commands(page):
        if command.is_medseg:
            try:
                parse(root, command.text)
            except Exception as error:
                raise AssertionError(f"{command.page}:{command.line}: {command.text}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_verb_and_option_of_the_text_exists(root: Any, page: Path) -> None:
    for mention in mentions(page):
        words = [PLACEHOLDER.get(word, word) for word in re.split(r"\s+", mention.text)[1:] if word not in ("...", "…")]
        command, rest = leaf(root, words)
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {
            "--help", "--version", "--install-completion", "--show-completion"
        }  # fmt: skip
        asked = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert asked <= known, f"{mention.page}:{mention.line}: {mention.text}: {sorted(asked - known)}"


def test_a_wrong_command_is_found(root: Any) -> None:
    for wrong in ("medseg predict scans/ --modle x --out y", "medseg segment scans/", "medseg predict --overlap 2"):
        with pytest.raises(Exception, match=r"."):
            parse(root, wrong)


def test_a_block_with_a_note_is_taken_from_the_page_by_every_test_that_the_note_names() -> None:
    for command in with_notes():
        note = NOTE.fullmatch(command.note or "")
        (first, *_) = [one.text for one in commands(ROOT / command.page) if one.block == command.block]
        for file in note["where"].split(", ") if note else ():
            runs_pages = note is not None and note["where"] == "tests/docs/test_commands_run.py"
            assert runs_pages or (command.page, first) in taken_blocks(ROOT / file), (
                f'{command.page}:{command.line}: {file} has no page_block("{command.page}", "{first}")'
            )


def test_the_commands_of_benchmark_pages_are_run_too() -> None:
    for command in every_command():
        if command.page.startswith("docs/benchmarks/") and not command.note:
            assert (command.page, command.text) in taken_blocks(ROOT / "tests" / "bench" / "test_architectures.py")


def test_a_block_is_taken_whole_and_only_as_the_page_has_it(tmp_path: Path) -> None:
    page = "docs/how-to/cluster.md"
    (command,) = page_block(page, "medseg inspect scans/ --model hippocampus --manifest cases.csv")
    assert command.with_names({"scans/": tmp_path}).words[2] == str(tmp_path)
    with pytest.raises(AssertionError, match="has no command medseg inspect scans/"):
        page_block(page, "medseg inspect scans/")
    with pytest.raises(AssertionError, match="has no more/"):
        command.with_names({"more/": tmp_path})
    calls = {"a.py": "page_block('p.md', 'medseg x')", "b.py": "ROWS = [('p.md', 'medseg x')]"}
    for name, text in calls.items():
        (tmp_path / name).write_text(text)
    assert taken_blocks(tmp_path / "a.py") == {("p.md", "medseg x")}
    assert not taken_blocks(tmp_path / "b.py")


def with_notes() -> list[Command]:
    return [command for command in every_command() if command.note]


def test_a_command_that_no_test_of_the_page_runs_says_what_it_needs_and_which_test_runs_it() -> None:
    for command in with_notes():
        note = NOTE.fullmatch(command.note or "")
        assert note, f"{command.page}:{command.line}: {command.note} is no note; see page_commands.py"
        assert note["need"] in NEEDS, f"{command.page}:{command.line}: {note['need']} is none of {NEEDS}"
        for file in note["where"].split(", "):
            assert (ROOT / file).is_file(), f"{command.page}:{command.line}: there is no {file}"
