"""The main job: scans in, masks, volumes, previews and a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from medseg import resources
from medseg.config.load import apply_overrides, merged, read_yaml
from medseg.engine.pipeline import assemble, load_pipeline
from medseg.engine.runner import RunOptions, run
from medseg.errors import UsageError
from medseg.types.run import BatchResult, Inputs

__all__ = ["PRESETS", "predict", "run_pipeline"]

# The default lies between them: windows overlap by half, mirroring where the card recommends it, the fastest precision
# whose cost was measured to be negligible. `fast` has fewer windows and no mirroring; `best` mirrors along all axes the
# network was trained for, in full precision.
PRESETS: dict[Literal["fast", "best"], dict[str, Any]] = {
    "fast": {"overlap": 0.25, "mirror": "none"},
    "best": {"overlap": 0.5, "mirror": "all", "precision": "float32"},
}

# Maps that can be written besides the labels, each by the option of that name.
SAVABLE = ("probabilities", "entropy")


def run_pipeline(
    pipeline: str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    options: RunOptions | None = None,
) -> BatchResult:
    """Run a pipeline, shipped or in a YAML file, over files and folders.

    `config` is a shipped configuration or a YAML file; `settings` holds options of each step that go before its, and
    `overrides`, ``a.b=c`` each, go before both.

    Raises
    ------
    UsageError
        When pipeline, configuration, inputs or output cannot be what was given.
    """
    path = resources.find("pipelines", pipeline)
    values: Mapping[str, Any] = {} if config is None else read_yaml(resources.find("configs", config))
    values = apply_overrides(merged(values, settings or {}), overrides)
    assembled = assemble(path.stem, load_pipeline(path), values)
    if not inputs:
        raise UsageError("no input was given", fix="Name at least one file or folder.")
    return run(assembled, Inputs(tuple(Path(item) for item in inputs)), Path(out), options)


def predict(
    inputs: Sequence[str | Path] | str | Path,
    model: str | Path,
    out: str | Path,
    *,
    formats: Sequence[str] | None = None,
    device: str | None = None,
    engine: str | None = None,
    overlap: float | None = None,
    mirror: str | None = None,
    preset: Literal["fast", "best"] | None = None,
    series: str | None = None,
    allow_uneven: bool = False,
    save: Sequence[str] = (),
    config: str | Path = "predict",
    overrides: Sequence[str] = (),
    options: RunOptions | None = None,
) -> BatchResult:
    """Segment every scan found in some files and folders.

    Parameters
    ----------
    inputs : path or sequence of paths
        Files and folders, mixed.
    model : str or Path
        Shipped name or model package.
    out : str or Path
        Output folder; see docs/reference/outputs.md for what lands there.
    formats, device, engine, overlap, mirror : optional
        As the options of `medseg predict`; None keeps the configuration's value.
    preset : {"fast", "best"}, optional
        A set of choices, of which those made by name are skipped; see `PRESETS`.
    series : str, optional
        Which DICOM series to take: UID, number, case id, or description with ``*`` and ``?``. Without it, the one of
        each study that the model's card describes.
    allow_uneven : bool
        Resample missing or unevenly spaced DICOM slices instead of refusing the scan.
    save : sequence of str
        What to write besides the labels: ``"probabilities"``, ``"entropy"``.
    config : str or Path
        Configuration to start from.
    overrides : sequence of str
        ``a.b=c`` each, applied last.
    options : RunOptions, optional
        Overwrite, dry run, shard.

    Returns
    -------
    BatchResult
        How every case ended; a bad case is an outcome, not an exception.

    Raises
    ------
    UsageError
        When something is to be saved that there is none of.
    """
    if unknown := [name for name in save if name not in SAVABLE]:
        raise UsageError(f"--save {unknown[0]}: there is no such map", fix=f"Choose among {', '.join(SAVABLE)}.")
    given = {"device": device, "engine": engine, "overlap": overlap, "mirror": mirror}
    segment: dict[str, Any] = dict(PRESETS[preset]) if preset else {}
    segment |= {key: value for key, value in given.items() if value is not None}
    segment |= {"model": str(model)} | dict.fromkeys(save, True)
    settings: dict[str, dict[str, Any]] = {"segment": segment}
    if series is not None:
        settings["discover"] = {"series": series}
    if allow_uneven:
        settings["read"] = {"allow_uneven": True}
    if formats is not None:
        settings["save"] = {"formats": list(formats)}
        if "dicom-seg-fractional" in formats:
            segment["probabilities"] = True
            settings["save"]["probabilities"] = "probabilities" in save
    listed = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    return run_pipeline(
        "batch-segmentation",
        listed,
        out,
        config=config,
        settings=settings,
        overrides=overrides,
        options=options,
    )
