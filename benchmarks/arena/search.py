"""A search for settings on one set of the arena, and its settings trained as the planned ones were.

    pip install optuna
    python benchmarks/arena/search.py DATA/lungs --work /tmp/arena/search --search 600 --results search.json

The search sees the cases that the arena's `medseg` trains on, never those that it holds out or the arena's own. Its
settings are then trained anew for the arena's CPU seconds, everything counted as run.py counts it, and measured on the
arena's cases. `--longer SECONDS` trains the planned settings for so long: what the search's time buys otherwise.
`--set KEY=VALUE` trains with settings that no search found, and `--name` names the row.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import run as arena  # noqa: E402

SEARCHED, LONGER = "medseg-searched", "medseg-longer"


def search(data: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Search in a process of its own, whose clock counts CPU seconds; what it leaves as search.json."""
    found = work / "run" / "search" / "search.json"
    if not found.is_file():
        command = [sys.executable, HERE / "search.py", data, "--work", work, "--search", options.search]
        command += ["--seconds", options.seconds, "--seed", options.seed, "--top", options.top, "--search-only"]
        arena.spend(command, work / "search.txt")
    return dict(json.loads(found.read_text()))


def search_only(data: Path, work: Path, given: argparse.Namespace) -> None:
    from search_trials import search as search_settings

    from medseg.training.configure import Configurator
    from medseg.training.device import choose_device
    from medseg.training.options import TrainOptions
    from medseg.training.training_run import TrainingRun

    options = TrainOptions(
        data, work / "run", time_budget=given.seconds, device="cpu", seed=given.seed, settings=("tracking=false",)
    )
    configurator = Configurator(options)
    config = configurator.config(options.out)
    run = TrainingRun(configurator.dataset(config), config, options.out, choose_device("cpu"))
    found = search_settings(run, given.search, given.top)
    (options.out / "search" / "search.json").write_text(json.dumps(found, indent=1))


def train(data: Path, work: Path, seconds: float, seed: int, settings: list[str]) -> dict[str, object]:
    """What run.py does for `medseg`, with settings."""
    work.mkdir(parents=True, exist_ok=True)
    trained = work / "trained.json"
    if not trained.is_file():
        trained.write_text(json.dumps(arena.train_medseg(data, work, seconds, seed, settings)))
    arena.predict_medseg(data, work)
    return {**json.loads(trained.read_text()), "seconds": seconds, "cases": arena.measured(data, work)}


def keep(path: Path, result: dict[str, object]) -> None:
    every = json.loads(path.read_text()) if path.is_file() else []
    same = ("set", "contestant", "seed")
    every = [one for one in every if any(one[key] != result[key] for key in same)]
    path.write_text(json.dumps([*every, result]))
    print({key: value for key, value in result.items() if key not in ("cases", "search")}, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--search", type=float, default=600, help="CPU seconds of all trials")
    parser.add_argument("--top", type=float, default=120, help="CPU seconds of the steps of the best trials")
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--longer", type=float, metavar="SECONDS")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE")
    parser.add_argument("--name", default="medseg-set")
    parser.add_argument("--search-only", action="store_true", help="only the search, in this process")
    options = parser.parse_args()
    data, seed = options.data.resolve(), options.seed
    if options.search_only:
        import cpu_clock

        cpu_clock.use()
        search_only(data, options.work, options)
        raise SystemExit
    work = options.work / f"{data.name}-{seed}"
    work.mkdir(parents=True, exist_ok=True)
    if options.longer:
        result = train(data, work / LONGER, options.longer, seed, [])
        result |= {"contestant": LONGER}
    elif options.set:
        result = train(data, work / options.name, options.seconds, seed, options.set)
        result |= {"contestant": options.name}
    else:
        found = search(data, work, options)
        result = train(data, work / SEARCHED, options.seconds, seed, found["settings"])
        result |= {"contestant": SEARCHED, "search": found}
    result |= {"set": data.name, "seed": seed}
    keep(options.results, result)
