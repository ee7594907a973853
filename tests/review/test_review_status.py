"""Where a review stands: what a random sample says, and by whose verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reviewed_results import make_results

from medseg.cli.app import run
from medseg.review.opening import open_store
from medseg.review.review_status import status
from medseg.review.sample import draw_sample


def judge(out: Path, who: str, rejected: int) -> None:
    """Judge all cases blinded, the first few rejected."""
    with open_store(out, create=True) as store:
        draw_sample(store, 4, who)
        for number, case in enumerate(store.cases()):
            if number < rejected:
                store.verdict(case, kind="reject", revision=0, who=who, reader=who, reason="missed")
            else:
                store.verdict(case, kind="accept", revision=0, who=who, reader=who)


@pytest.mark.parametrize("order", [("Ada", "Bob"), ("Bob", "Ada")])
def test_readers_who_judge_a_sample_otherwise_are_said_each_whoever_was_last(tmp_path: Path, capsys, order) -> None:
    out = make_results(tmp_path, 4)
    for who in order:
        judge(out, who, rejected={"Ada": 0, "Bob": 2}[who])
    assert run(["review", "status", str(out)]) == 0
    printed = capsys.readouterr().err
    assert "as each reader judged it" in printed
    assert "Ada: random sample of 4 of 4: 0 of 4 wrong, 0.0% (95% interval 0.0% to 60.2%)" in printed
    assert "Bob: random sample of 4 of 4: 2 of 4 wrong, 50.0% (95% interval 6.8% to 93.2%)" in printed
    assert run(["review", "status", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["sample_by_reader"]
    assert {who: rate["wrong"] for who, rate in found.items()} == {"Ada": 0, "Bob": 2}


def test_readers_who_share_a_sample_are_one(tmp_path: Path, capsys) -> None:
    out = make_results(tmp_path, 4)
    with open_store(out, create=True) as store:
        draw_sample(store, 4, "Ada")
        for number, case in enumerate(store.cases()):
            store.verdict(case, kind="accept", revision=0, who=("Ada", "Bob")[number % 2])
    assert run(["review", "status", str(out)]) == 0
    assert "as each reader" not in capsys.readouterr().err
    assert {who: rate.judged for who, rate in status(out).sample_by_reader.items()} == {"Ada": 2, "Bob": 2}
