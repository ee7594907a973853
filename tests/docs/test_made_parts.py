"""Parts of pages that are made when the site is built: the overview of benchmarks, home's figures, errors, verbs."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import pytest
import typer
from page_commands import ROOT

sys.path.insert(0, str(ROOT / "docs" / "making"))

import claims
import errors
import hooks
import verbs


def test_every_figure_is_found_in_its_page() -> None:
    assert len(claims.overview().splitlines()) == len(claims.CLAIMS) + 2
    assert any(not claim.we_win for claim in claims.CLAIMS), "rows that medseg loses stay in"


def test_figures_are_read_from_the_page(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.md").write_text("| tool | s |\n|---|---|\n| ours | 2.0 |\n| theirs, two | 5.0 |\n")
    monkeypatch.setattr(claims, "PAGES", tmp_path)
    claim = claims.Claim("t", "s", "p", "s", ("ours",), ("theirs",), "theirs")
    assert claim.figures() == (2.0, 5.0)
    assert claim.we_win
    assert claim.by == "2.5 times less"
    assert claims.overview([claim]).endswith("| medseg: 2.5 times less | s | 2 | theirs 5 |")
    with pytest.raises(KeyError, match="no figure"):
        claims.cell("p", ("nobody",), "s")


def test_of_parts_with_tables_alike_the_one_that_is_named_is_read(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "| tool | Dice |\n|---|---|\n| ours | {} |\n| theirs | 0.2 |\n"
    (tmp_path / "p.md").write_text(f"## a\n\n{table.format(0.5)}\n## b\n\n{table.format(0.1)}")
    monkeypatch.setattr(claims, "PAGES", tmp_path)
    lost = claims.Claim("t", "Dice", "p", "Dice", ("ours",), ("theirs",), "theirs", more_is_better=True, part="b")
    assert lost.figures() == (0.1, 0.2)
    assert claims.overview([lost]).endswith("| theirs: 0.100 more | Dice | 0.1 | theirs 0.2 |")
    with pytest.raises(KeyError, match="no figure"):
        claims.cell("p", ("ours",), "Dice", "c")


def test_what_the_home_page_says_is_won_and_is_of_quality_too() -> None:
    shown = [claims.CLAIMS[number] for number in claims.SHOWN]
    assert all(claim.we_win for claim in shown)
    assert {claim.more_is_better for claim in shown} == {True, False}


def test_every_page_names_parts_that_are_made() -> None:
    named = [
        (page, name)
        for page in ROOT.glob("docs/**/*.md")
        for name in re.findall(r"<!-- made: (\w+) -->", page.read_text(encoding="utf-8"))
    ]
    assert {name for _, name in named} == set(hooks.PARTS)
    for page, _ in named:
        assert "<!-- made" not in hooks.on_page_markdown(page.read_text(encoding="utf-8"))


def test_a_figure_opens_in_its_own_size_when_it_is_tapped() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"), meta={})
    made = hooks.on_page_content('<p><img alt="A scan" src="../images/a.png" /> text</p>', page)
    assert made == '<p><a class="figure" href="../images/a.png"><img alt="A scan" src="../images/a.png" /></a> text</p>'


def test_every_kind_of_error_has_its_part_of_the_page() -> None:
    import medseg.review.revisions
    import medseg.service.archive
    import medseg.training.promotion  # noqa: F401
    from medseg.errors import MedsegError

    def below(kind: type[MedsegError]) -> set[type[MedsegError]]:
        return {one for child in kind.__subclasses__() for one in (child, *below(child))}

    parsed = errors.trees()
    kinds = errors.kinds(parsed)
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    ours = {k for k in below(MedsegError) if k.__module__.startswith("medseg.") and not k.__name__.startswith("_")}
    assert {kind.__name__ for kind in ours} <= set(kinds)
    for kind in ours:
        made = kinds[kind.__name__]
        assert made.code == kind("x").code
        assert made.exit_code == kind.exit_code
        assert f"[{made.code}](#{made.code.lower()}) | {made.exit_code} |" in page
    assert len(errors.messages(parsed, kinds)) > 500
    assert r"\<" not in errors.page() + verbs.page(), "Markdown shows the backslash too"


def test_every_verb_has_its_part_of_the_page_with_every_option() -> None:
    from medseg.cli.options import LOG
    from medseg.cli.verb import VERBS

    parts = dict(re.findall(r"^### (medseg .+?)\n(.*?)(?=^### |\Z)", verbs.page(), re.MULTILINE | re.DOTALL))
    assert {name for group in VERBS.values() for name in group} == {name.split()[1] for name in parts}
    assert "| Input and output | meaning |\n|---|---|\n| `-o, --out DIR` |" in parts["medseg predict"]
    for name, command in verbs.leaves(typer.main.get_command(verbs.app)):
        assert f"\n```console\n{'medseg review' if name.endswith('DIR') else name}" in parts[name]
        for param in command.params:
            if param.param_type_name == "option" and getattr(param, "rich_help_panel", None) not in (LOG, None):
                assert all(option in parts[name] for option in param.opts), f"{name}: {param.opts}"
                assert param.help.partition(" ")[0] in parts[name]


def test_messages_that_are_put_together_are_still_said_so() -> None:
    sources = [path.read_text(encoding="utf-8").lower() for path in errors.trees()]
    for message in errors.PUT_TOGETHER:
        words = [word.lower() for word in re.findall(r"[A-Za-z]{3,}[a-rt-z]", message.what)]
        assert any(all(word in text for word in words) for text in sources), message.what


def test_the_errors_page_has_what_people_see_most() -> None:
    page = errors.page()
    for what in ("the file is truncated: its compressed data breaks off", "unknown key", "no CUDA GPUs found",
                 "must be one or more of", "must have a unit", "The scan is a 2D image"):  # fmt: skip
        assert what in page
    gate = page.partition("## E-not-for-this-model")[2].partition("\n## ")[0]
    assert "The case is withheld" in gate
    assert "(../explanation/gate.md)" in gate


def test_code_in_a_message_is_code() -> None:
    assert errors._escaped("Run `medseg audit a_b` on a_b") == r"Run `medseg audit a_b` on a\_b"
    assert r"\`" not in errors.page()
