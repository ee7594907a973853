"""Writes docs/benchmarks/search.md from the results of run.py and search.py.

python benchmarks/arena/search_page.py arena.json search.json docs/benchmarks/search.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from page import METRICS, by_case, difference

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import markdown  # noqa: E402

NAMES = {"medseg": "planned", "medseg-searched": "searched", "medseg-half": "planned, half the features"}
HEAD = """Written by `python benchmarks/arena/search_page.py`, from what `benchmarks/arena/run.py` and
`benchmarks/arena/search.py` measured, whose heads say how. A search over patch, width of the network, learning rate,
batch and spatial augmentation, by asynchronous successive halving (Optuna), on sets of the [arena](arena.md). Trials
are trained and measured on the cases that `medseg train` trains on, split once more: neither those that it holds out
nor the arena's own are in any. The planned settings are the first trial, and stay unless another is better by more than
the standard error. What is taken is trained anew for 240 CPU seconds, as the planned settings were, and measured on the
arena's cases. Differences are paired by case, with 95% intervals over cases; one seed each, whose variance is not in
them. Half the features changes nothing else of what was planned, and needs no search."""

FOUND = """## What it found

- On `lungs` and `busi`, the two that were searched, what the search took beats the planned settings after the same 240
  CPU seconds of training. On both it took half the features and left all else as planned. These are one of the four
  settings that it starts with; of the three that the sampler drew, none came to the last stage. 440 CPU seconds suffice
  for seven trials, and the planned settings alone take a third of them.
- Half the features need no search: where a budget gives few steps, cheaper steps get further. On `drive` nothing was
  searched, and they gain there too. The planner has that rule now, what is
  planned here was before it, and no search ships ([decision 37](../decisions/0037-no-search-for-settings.md)).
- Did not help, at the same CPU seconds: twice the learning rate beside half the features, no spatial augmentation, and
  a batch of twice or half the size with another learning rate or one and a half times the features.

## What is not here

The planned settings trained for the CPU seconds of search and training together, which is what the time of a search
buys otherwise. Other patches: the sampler drew none. A longer search: it was meant to last 600 CPU seconds, and ended
after 440, before any of its settings was measured on the arena's cases, because other work held the machine. A second
seed, and volumes. The rows of the planned settings are the arena's own, made a few hours earlier."""

LEVELS = ("patch", "width", "learning_rate", "augmentation", "batch")


def compared(results: dict[str, dict[str, Any]]) -> str:
    rows: dict[str, list[object]] = {}
    for contestant, shown in NAMES.items():
        if contestant not in results:
            continue
        result = results[contestant]
        row: list[object] = [f"{np.mean(list(by_case(result, metric).values())):.3f}" for metric in METRICS]
        for metric in METRICS:
            ours, theirs = by_case(result, metric), by_case(results["medseg"], metric)
            row.append(difference(ours, theirs) if contestant != "medseg" else "")
        size = f"{result['batch']} of {' x '.join(str(n) for n in result['patch'] if n != 1)}"
        searched = f"{result['search']['seconds']:.0f}" if contestant == "medseg-searched" else ""
        rows[shown] = [*row, result["steps"], size, searched, f"{result['cpu_s']:.0f}"]
    gains = [f"less planned, {name}" for name in METRICS.values()]
    return markdown.table(
        [*METRICS.values(), *gains, "steps", "patches a step", "CPU-s of the search", "CPU-s of the training"], rows
    )


def trials(search: dict[str, Any]) -> str:
    rows: dict[str, list[object]] = {}
    for one in search["trials"]:
        taken = " (taken)" if one["trial"] == search["chosen"] else ""
        levels = [one[level] if isinstance(one[level], str) else f"{one[level]:.3g}" for level in LEVELS]
        stages = [f"{value:.3f}" for value in one["dice"]] + ["", "", ""]
        rows[f"{one['trial']}{taken}"] = [*levels, *stages[:3], one["steps"], f"{one['seconds']:.0f}"]
    top = search["top_seconds"]
    columns = [f"Dice after {top / 9:.0f} s", f"{top / 3:.0f} s", f"{top:.0f} s"]
    return markdown.table([*(level.replace("_", " ") for level in LEVELS), *columns, "steps", "CPU-s"], rows)


def main(arena: Path, searched: Path, page: Path) -> None:
    every = [*json.loads(arena.read_text()), *json.loads(searched.read_text())]
    paragraphs = [HEAD]
    for name in dict.fromkeys(result["set"] for result in every):
        runs = [one for one in every if one["set"] == name and one["seed"] == 1 and one["contestant"] in NAMES]
        results = {one["contestant"]: one for one in runs}
        if len(results) < 2:
            continue
        paragraphs += [f"## {name}", compared(results)]
        if "medseg-searched" in results:
            search = results["medseg-searched"]["search"]
            chosen = ", ".join(f"`{one}`" for one in search["settings"]) or "what was planned"
            paragraphs += [
                f"{len(search['trials'])} trials, measured on {len(search['measured_on'])} of the cases to train on; "
                f"taken: {chosen}; its gain there: {search['gain']:+.3f} (standard error "
                f"{search['standard_error']:.3f}). Factors are of what was planned.",
                trials(search),
            ]
    markdown.write(page, "Searching for settings", [*paragraphs, FOUND])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
