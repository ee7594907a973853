"""`medseg.train`: a model from data, by the options of the command line."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from medseg.cluster.connection import connected
from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import AtLeast1, Configurations, Device, Duration, Folds, ProcessCount, Seed
from medseg.data.splits import folds_to_cross
from medseg.errors import UsageError
from medseg.io.files.temporary import temporary_folder, temporary_place
from medseg.io.files.writable import output_folder
from medseg.models.package import ModelPackage, load_package
from medseg.training.config import TrainConfig
from medseg.training.configure import Configurator
from medseg.training.cross_validate import cross_validate, folds_of
from medseg.training.device import choose_device
from medseg.training.distributed import Processes, joined, launch
from medseg.training.final_model import Final
from medseg.training.fold_results import FoldResults
from medseg.training.options import TrainOptions
from medseg.training.promotion import Gate, open_gate, promote
from medseg.training.strategies import CASCADE, choose_among, configurations_of, train_cascade
from medseg.training.train import train_model
from medseg.training.training_run import TrainingRun


@check_arguments
def train(
    dataset: Path | str,
    out: Path | str,
    *,
    config: str | Path | TrainConfig | None = None,
    time_budget: Duration | None = None,
    epochs: AtLeast1 | None = None,
    device: Device = "auto",
    start: str | Path | None = None,
    interactive: bool = False,
    held_out: Path | str | None = None,
    folds: Folds | None = None,
    configuration: Configurations | None = None,
    final: Final = "all",
    processes: ProcessCount = 1,
    ray: str | None = None,
    worker_cpus: AtLeast1 | None = None,
    seed: Seed | None = None,
    settings: str | Sequence[str] = (),
) -> ModelPackage | FoldResults:
    """Train a model and leave its package in ``out/model``, or resume the run that `out` holds.

    Parameters
    ----------
    dataset : Path or str
        Folder of the dataset, in any layout that ``medseg audit`` reads.
    out : Path or str
        Output folder.
    config : str, Path or TrainConfig, optional
        Shipped name or YAML file of a configuration. One that says nothing of input and network changes the plan made
        from the dataset; without any the plan is all there is.
    time_budget : str or float, optional
        When to end: ``"20m"``, ``"1.5h"``, or seconds. A finished run is resumed with a longer one.
    epochs : int, optional
        When to end, in epochs.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    start : str or Path, optional
        Name or path of a model package to fine-tune (``--from``), or a file of weights of nnssl's ResEncL (OpenMind) or
        SuPreM's SegResNet, whose license ``pretrained.license`` states. On cases that a package's card lists as held
        out and that the dataset holds out too, the new model is compared with it.
    interactive : bool
        Train a network that takes clicks and scribbles, for `medseg.review` (``--interactive``); `start` may be an
        automatic model, or one that takes clicks. It is measured by simulated clicks, and not compared with `start`.
    held_out : Path or str, optional
        Dataset with the cases that `start` held out, to compare the two models on.
    folds : str, optional
        Cross-validate: ``"all"``, or numbers such as ``"0,1"``.
    configuration : str, optional
        What to plan: ``3d_fullres``, ``3d_lowres``, ``2d`` or ``cascade``; several, separated by commas, are compared,
        and the ensembles of any two.
    final : {"all", "ensemble"}
        After all folds: train on all cases, or average the folds' models.
    processes : int
        Number of processes, one per GPU.
    ray : str, optional
        Address of a Ray cluster whose machines train the folds side by side: ``"auto"`` for the one that this machine
        belongs to, ``"local"`` to start one here. Every machine must see `dataset` and `out` under the same paths.
    worker_cpus : int, optional
        CPUs for each fold on machines of the cluster without GPUs; by default 4. A GPU has one fold at a time.
    seed : int, optional
        Another seed gives another run.
    settings : str or sequence of str
        Changes of the configuration such as ``"sampling.batch=4"`` (``--set``).

    Returns
    -------
    ModelPackage or FoldResults
        The package; where only some folds were asked for, what they measured.

    Raises
    ------
    UsageError
        When an option or a key of the configuration cannot be what was given.
    InputError
        When the dataset cannot be read, or no case can be trained on.
    MissingDependency
        When `ray` is given and Ray is not installed.
    NotPromoted
        When the model is worse than `start` on the old held-out cases by more than the standard error; it is moved to
        ``out/refused``.
    Interrupted
        When a signal asked to stop; a checkpoint is written, and the same call resumes.
    """
    # The parameters are the options' fields, by name; three of them take more types.
    given: dict[str, Any] = {
        **locals(),
        "dataset": Path(dataset),
        "out": Path(out),
        "held_out": None if held_out is None else Path(held_out),
        "settings": tuple(listed(settings)),
    }
    return run_training(TrainOptions(**given, started=time.monotonic()))


def run_training(options: TrainOptions) -> ModelPackage | FoldResults:
    """Train by options; see `train`."""
    output_folder(options.out)
    temporary_place()  # before any work: artifacts of the run are gathered there
    if options.cluster is not None:
        with connected(options.cluster):  # before anything is written: where no cluster answers, nothing has begun
            pass
    if options.processes > 1 and "WORLD_SIZE" not in os.environ:
        _launched(options)
        package = options.out / "model"
        return load_package(package) if package.is_dir() else FoldResults.read(options.out / "cross_validation.json")
    names = () if options.configuration is None else configurations_of(options.configuration)
    configurator = Configurator(options)
    command = options.command or shlex.join(["medseg", *options.arguments()])
    chosen = choose_device(options.device)
    gate = _gate(configurator)
    with joined(gpu=chosen.type == "cuda") as processes:

        def make_run(name: str | None, out: Path) -> TrainingRun:
            with processes.in_turn():
                made = configurator.config(out, name)
                data = configurator.dataset(made)
            start = configurator.start_of(made)
            device = processes.device(chosen)
            return TrainingRun(data, made, out, device, processes, command, cluster=options.cluster, start=start)

        made = _train(make_run, options, names, processes)
        if gate is not None and processes.is_first and isinstance(made, ModelPackage):
            made = promote(gate, made, options.out, device=str(chosen))
        return made


def _train(
    make_run: Callable[[str | None, Path], TrainingRun],
    options: TrainOptions,
    names: Sequence[str],
    processes: Processes,
) -> ModelPackage | FoldResults:
    out, final = options.out, options.final
    if len(names) > 1:
        return choose_among(make_run, out, tuple(names), final=final)
    if CASCADE in names:
        return train_cascade(make_run, out, folds=options.folds, final=final) or _fold_results(out, processes)
    run = make_run(names[0] if names else None, out)
    if options.folds is not None:
        numbers = folds_of(options.folds, run.config.split.folds or folds_to_cross(run.dataset.labeled))
        return cross_validate(run, numbers, final=final) or _fold_results(out, processes)
    return train_model(replace(run, started=options.started))


def _gate(configurator: Configurator) -> Gate | None:
    """What a model that starts from another must pass; None for one that starts from nothing."""
    options = configurator.options
    start = configurator.start
    if configurator.stated.interactive is not None:
        return None
    if start is not None:
        return open_gate(start, configurator.source.data, options.held_out)
    if options.held_out is not None:
        raise UsageError(
            "there is no model to compare with on it",
            where=f"--held-out {options.held_out}",
            fix="Name with --from the model that training starts from.",
        )
    return None


def _fold_results(out: Path, processes: Processes) -> FoldResults:
    processes.wait()
    return FoldResults.read(out / "cross_validation.json")


def _launched(options: TrainOptions) -> None:
    """Run the same training in several processes of this machine."""
    if options.command:
        launch(options.processes, shlex.split(options.command)[1:])
        return
    with temporary_folder() as folder:
        if isinstance(options.config, TrainConfig):
            file = Path(folder) / "config.yaml"
            values = options.config.model_dump(mode="json", exclude_none=True)
            file.write_text(yaml.safe_dump(values), encoding="utf-8")
            options = replace(options, config=file)
        launch(options.processes, options.arguments())
