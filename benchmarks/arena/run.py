"""One contestant on one set of the arena: trained for a budget of CPU seconds, then measured on the held-out cases.

    python benchmarks/arena/run.py DATA/drive medseg --work /tmp/arena/work --seconds 300 --results arena.json

The budget is that of everything between the labeled images and the model: reading, planning, preparing, steps,
measuring. Each contestant has one thread and its defaults. None mirrors at prediction, so that all of them finish.
What was measured before for the same set, contestant and seed is replaced in the results.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import yaml  # noqa: E402
from peer_environments import install  # noqa: E402

MEDSEG = [sys.executable, str(HERE / "cpu_clock.py")]


def spend(command: Sequence[object], log: Path, **environment: str) -> tuple[float, str]:
    """Run a command with one thread; its CPU seconds with those of its children, and its last line of output."""
    before = os.times()
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with log.open("a") as stream:
        done = subprocess.run(
            [str(part) for part in command], env={**os.environ, **one_thread, **environment}, text=True,
            stdout=subprocess.PIPE, stderr=stream,
        )  # fmt: skip
        stream.write(done.stdout)
    if done.returncode not in (0, 3):  # 3: medseg withheld or could not measure some cases
        raise SystemExit(f"{command[0]} failed with {done.returncode}; see {log}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, (done.stdout.strip().splitlines() or [""])[-1]


def train_medseg(data: Path, work: Path, seconds: float, seed: int, settings: Sequence[str] = ()) -> dict[str, object]:
    run, log = work / "run", work / "log.txt"
    train = [*MEDSEG, "train", data, "--out", run, "--time-budget", f"{seconds:.0f}s", "--device", "cpu"]
    train += [f"--set={setting}" for setting in settings]
    cpu, _ = spend([*train, "--seed", seed], log)
    config = yaml.safe_load((run / "config.yaml").read_text())
    card = yaml.safe_load((run / "model" / "model.yaml").read_text())
    steps = next(int(found[1]) for found in re.finditer(r"(\d+) steps", json.dumps(card)))
    return {"steps": steps, "patch": config["input"]["patch"], "batch": config["sampling"]["batch"], "cpu_s": cpu}


def predict_medseg(data: Path, work: Path) -> None:
    predict = [*MEDSEG, "predict", data / "imagesTs", "--model", work / "run" / "model", "--out", work / "out"]
    spend([*predict, "--mirror", "none", "--device", "cpu"], work / "log.txt")
    (work / "labels").mkdir(exist_ok=True)
    for labels in (work / "out").glob("*/labels.*"):
        name = labels.parent.name.removesuffix("_0000") + "".join(labels.suffixes)
        (work / "labels" / name).write_bytes(labels.read_bytes())


def _nnunet(data: Path, work: Path) -> tuple[Path, str, dict[str, str]]:
    """The folder of nnU-Net's commands, the configuration, and its environment."""
    environment = {key: str(work / key) for key in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    environment |= {"nnUNet_n_proc_DA": "0", "nnUNet_compile": "f"}
    flat = json.loads((data / "dataset.json").read_text())["file_ending"] == ".png"
    return install("nnunet").parent, "2d" if flat else "3d_fullres", environment


def train_nnunet(data: Path, work: Path, seconds: float, seed: int) -> dict[str, object]:
    (tools, configuration, environment), log = _nnunet(data, work), work / "log.txt"
    name = f"Dataset001_{data.name}"
    (work / "nnUNet_raw").mkdir(exist_ok=True)
    if not (work / "nnUNet_raw" / name).is_symlink():
        (work / "nnUNet_raw" / name).symlink_to(data)
    plan = [tools / "nnUNetv2_plan_and_preprocess", "-d", 1, "-c", configuration, "-npfp", 1, "-np", 1]
    before, _ = spend(plan, log, **{**environment, "nnUNet_n_proc_DA": "1"})  # its planner refuses 0
    train = [tools / "python", HERE / "train_nnunet.py", name, configuration, max(seconds - before, 1), seed]
    cpu, said = spend(train, log, **environment)
    return {**json.loads(said), "cpu_s": before + cpu}


def predict_nnunet(data: Path, work: Path) -> None:
    tools, configuration, environment = _nnunet(data, work)
    predict = [tools / "nnUNetv2_predict", "-d", 1, "-c", configuration, "-f", "all", "-i", data / "imagesTs"]
    predict += ["-o", work / "labels", "-device", "cpu", "--disable_tta", "-npp", 1, "-nps", 1]
    spend([*predict, "--disable_progress_bar"], work / "log.txt", **environment)


def train_monai(data: Path, work: Path, seconds: float, seed: int) -> dict[str, object]:
    _, said = spend([sys.executable, HERE / "train_monai.py", data, work / "labels", seconds, seed], work / "log.txt")
    return dict(json.loads(said))


def predict_monai(data: Path, work: Path) -> None:
    """Done by its training script."""


def measured(data: Path, work: Path) -> dict[str, dict[str, list[float]]]:
    """Dice and NSD of each held-out case and class, by `medseg evaluate`."""
    command = [*MEDSEG, "evaluate", work / "labels", data / "labelsTs", "--out", work / "evaluation"]
    spend([*command, "--objects", "none"], work / "log.txt")
    found: dict[str, dict[str, list[float]]] = {}
    with (work / "evaluation" / "per_case.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["case_id"], {}).setdefault(row["metric"], []).append(float(row["value"] or "nan"))
    return found


CONTESTANTS = {
    "medseg": (train_medseg, predict_medseg),
    "nnunet": (train_nnunet, predict_nnunet),
    "monai": (train_monai, predict_monai),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    work = options.work / f"{options.data.name}-{options.contestant}-{options.seed}"
    work.mkdir(parents=True, exist_ok=True)
    train, predict = CONTESTANTS[options.contestant]
    data, trained = options.data.resolve(), work / "trained.json"
    if not trained.is_file():  # what is trained is not trained again
        trained.write_text(json.dumps(train(data, work, options.seconds, options.seed)))
    predict(data, work)
    result = json.loads(trained.read_text())
    result |= {"set": options.data.name, "contestant": options.contestant, "seed": options.seed}
    result |= {"seconds": options.seconds, "cases": measured(data, work)}
    every = json.loads(options.results.read_text()) if options.results.is_file() else []
    same = ("set", "contestant", "seed")
    every = [one for one in every if any(one[key] != result[key] for key in same)]
    options.results.write_text(json.dumps([*every, result]))
    print({key: value for key, value in result.items() if key != "cases"})
