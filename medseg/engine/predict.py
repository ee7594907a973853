"""The main job: scans in, masks, volumes, previews and a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from medseg import resources
from medseg.cluster.connection import OnCluster, require_ray
from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import AtLeast1, Device, LabelFormats, Maps, MoreThan0, Overlap, ShardName, names_in
from medseg.config.load import apply_overrides, merged, read_yaml
from medseg.config.purpose import check_purpose
from medseg.engine.manifest import root_of
from medseg.engine.pipeline import assemble, load_pipeline
from medseg.engine.runner import RunOptions, run
from medseg.engine.shard import Shard
from medseg.errors import UsageError
from medseg.infer.options import EngineName, Mirror
from medseg.io.files.addresses import scheme_of
from medseg.io.files.writable import check_own_folder, output_folder
from medseg.isolation.process import Guard
from medseg.types.run import BatchResult, Inputs

# The default lies between them: windows overlap by half, mirroring where the card recommends it, the fastest precision
# whose cost was measured to be negligible. `fast` has larger windows, and fewer, and no mirroring; `best` mirrors along
# all axes the network was trained for, in full precision.
PRESETS: dict[Literal["fast", "best"], dict[str, Any]] = {
    "fast": {"overlap": 0.25, "mirror": "none", "larger_windows": True},
    "best": {"overlap": 0.5, "mirror": "all", "precision": "float32"},
}


def run_pipeline(
    pipeline: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    manifest: Path | None = None,
    root: str | Path | None = None,
    config: str | Path | None = None,
    values: Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
    options: RunOptions | None = None,
) -> BatchResult:
    """Run a pipeline, shipped or in a YAML file, over files and folders.

    With a `manifest` its rows are the inputs, their paths below `root`, and there are no others.

    `config` is a shipped configuration or a YAML file; `values` holds options of each step that go before its, and
    `settings`, ``a.b=c`` each, go before both.

    Raises
    ------
    UsageError
        When pipeline, configuration, inputs or output cannot be what was given.
    """
    folder = output_folder(out)
    path = resources.find("pipelines", pipeline)
    configured = {} if config is None else read_yaml(resources.find("configs", config))
    if config is not None and path == resources.shipped("pipelines").get(path.stem):  # one's own has steps of any name
        check_purpose(configured, "segmentation", name=config)
    chosen = apply_overrides(merged(configured, values or {}), settings)
    file = config if config is not None and Path(config).is_file() else None
    assembled = assemble(path.stem, load_pipeline(path), chosen, where=file)
    taken = inputs_of(inputs, manifest, root)
    if manifest is None:
        check_own_folder(folder, taken.paths, "the output is the folder of the scans itself")
    return run(assembled, taken, folder, options)


def inputs_of(inputs: Sequence[str | Path], manifest: Path | None, root: str | Path | None) -> Inputs:
    """Return what a run takes: files and folders, or the rows of a manifest; `UsageError` where both or neither."""
    if manifest is None:
        if root is not None:
            raise UsageError("--root goes with --manifest", fix="Omit it, or name the manifest.")
        if not inputs:
            raise UsageError("no input was given", fix="Name at least one file or folder.")
        return Inputs(tuple(Path(item) for item in inputs))
    if inputs:
        raise UsageError(
            "--manifest names the cases, and so does an input",
            fix="Omit one of them: nothing but the manifest is read.",
        )
    place = root_of(manifest, root)
    if root is not None and not scheme_of(place) and not Path(place).is_dir():
        raise UsageError(
            "there is no such folder for the manifest's paths", where=f"--root {root}", fix="Mount it, or name another."
        )
    return Inputs(() if scheme_of(place) else (Path(place),), manifest=manifest, root=place)


@check_arguments
def predict(
    inputs: Sequence[str | Path] | str | Path,
    model: str | Path,
    out: str | Path,
    *,
    format: LabelFormats | None = None,
    device: Device | None = None,
    engine: EngineName | None = None,
    overlap: Overlap | None = None,
    mirror: Mirror | None = None,
    fast: bool = False,
    best: bool = False,
    manifest: str | Path | None = None,
    root: str | Path | None = None,
    series: str | None = None,
    allow_uneven: bool = False,
    allow_incomplete: bool = False,
    save: Maps = (),
    config: str | Path = "predict",
    settings: str | Sequence[str] = (),
    shard: ShardName | None = None,
    ray: str | None = None,
    worker_cpus: AtLeast1 | None = None,
    max_memory: MoreThan0 | None = None,
    max_seconds: MoreThan0 | None = None,
    anyway: bool = False,
    clinical: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    keep_names: bool = False,
) -> BatchResult:
    """Segment every scan found in some files and folders.

    Parameters
    ----------
    inputs : path or sequence of paths
        Files and folders, mixed; empty with a manifest.
    model : str or Path
        Shipped name or model package.
    out : str or Path
        Output folder; see docs/reference/outputs.md for what lands there.
    format : str or sequence of str, optional
        Formats to write, as ``medseg predict --format``; in one string, with commas between them.
    device, engine, overlap, mirror : optional
        As the options of `medseg predict`; None keeps the configuration's value.
    fast, best : bool
        Fewer windows, or mirrored windows in full precision; what is chosen by name goes before. See `PRESETS`.
    manifest : str or Path, optional
        Table of the cases, as `medseg.inspect` writes it; its rows are read and nothing else. Each scan must still have
        the hash, or the size and time, that is written there.
    root : str or Path, optional
        Folder or address, such as ``s3://bucket/scans``, that paths in the manifest are relative to; without it, the
        manifest's own folder.
    series : str, optional
        Which DICOM series to take: UID, number, case id, or description with ``*`` and ``?``. Without it, the one of
        each study that the model's card describes.
    allow_uneven : bool
        Resample missing or unevenly spaced DICOM slices instead of rejecting the scan.
    allow_incomplete : bool
        Read DICOM series that lost a part without it, instead of rejecting them.
    save : str or sequence of str
        Maps to write besides the labels: ``"probabilities"``, ``"entropy"``.
    config : str or Path
        Configuration to start from: a shipped one, or a YAML file.
    settings : str or sequence of str
        Single values of the configuration, ``a.b=c`` each, applied last (``--set``).
    shard : str, optional
        ``"k/n"``: only part k of n of the cases. ``"auto"`` takes both from SLURM or Kubernetes, ``"auto/n"`` only k.
    ray : str, optional
        Address of a Ray cluster to run the cases on: ``"auto"`` for the one that this machine belongs to, ``"local"``
        to start one here. Every machine must see the inputs, the model and `out` under the same paths.
    worker_cpus : int, optional
        CPUs of each worker on machines of the cluster without GPUs; by default 4. A GPU has a worker of its own.
    max_memory, max_seconds : float, optional
        What one case may use: GiB, 9/10 of what is free by default, and seconds.
    anyway : bool
        Segment scans that are not what the model is for too, and mark every output of theirs; otherwise they are
        withheld.
    clinical : bool
        This is clinical use: refuse a model whose card does not say that its weights are for any use.
    overwrite, dry_run : bool
        Do again what is done; only return what would be done.
    keep_names : bool
        Leave file names that look like a patient's in case ids and reports; by default they are hashed.

    Returns
    -------
    BatchResult
        How every case ended; a case that fails is an outcome, not an exception.

    Raises
    ------
    UsageError
        When an option cannot be what was given, or there is no such output to save.
    MissingDependency
        When `ray` is given and Ray is not installed.
    """
    if fast and best:
        raise UsageError("--fast and --best exclude each other", fix="Choose one.")
    if worker_cpus is not None and ray is None:
        raise UsageError("it is for the workers of a cluster", where="--worker-cpus", fix="Add --ray auto, or omit it.")
    if ray is not None:
        require_ray()
    maps, formats = names_in(save), names_in(format)
    given = {"device": device, "engine": engine, "overlap": overlap, "mirror": mirror}
    segment: dict[str, Any] = dict(PRESETS["fast"] if fast else PRESETS["best"] if best else {})
    segment |= {key: value for key, value in given.items() if value is not None}
    segment |= {"model": str(model)} | dict.fromkeys(maps, True)
    if anyway:
        segment["anyway"] = True
    if clinical:
        segment["clinical"] = True
    values: dict[str, dict[str, Any]] = {"segment": segment}
    if series is not None:
        values["discover"] = {"series": series}
    if keep_names:
        values["discover"] = {**values.get("discover", {}), "keep_names": True}
    allowed = {"allow_uneven": allow_uneven, "allow_incomplete": allow_incomplete}
    if any(allowed.values()):
        values["read"] = {name: True for name, given in allowed.items() if given}
    if formats:
        values["save"] = {"formats": formats}
        if "dicom-seg-fractional" in formats:
            segment["probabilities"] = True
            values["save"]["probabilities"] = "probabilities" in maps
    how = RunOptions(
        overwrite,
        dry_run,
        None if shard is None else Shard.parse(shard),
        guard=Guard(max_memory, max_seconds),
        cluster=None if ray is None else OnCluster(ray, worker_cpus, use_gpus=device != "cpu"),
    )
    return run_pipeline(
        "batch-segmentation",
        listed(inputs),
        out,
        manifest=None if manifest is None else Path(manifest),
        root=root,
        config=config,
        values=values,
        settings=listed(settings),
        options=how,
    )
