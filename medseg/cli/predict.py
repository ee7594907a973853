"""`medseg predict`: batch segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import (
    AllowUnevenOption,
    DryRunOption,
    JsonOption,
    MaxMemoryOption,
    MaxSecondsOption,
    OverwriteOption,
    SetOption,
    ShardOption,
    print_result,
)

__all__ = ["predict"]


def predict(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Scans, and folders of scans, mixed.")],
    model: Annotated[str, typer.Option("--model", help="A shipped model's name, or the path of a model package.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    formats: Annotated[
        str | None,
        typer.Option(
            "--format", help="Formats to write, comma-separated. Without it: nifti, and dicom-seg for DICOM scans."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="What runs the network: auto or one by name.")] = None,
    overlap: Annotated[
        float | None, typer.Option("--overlap", help="Share of a window its neighbor covers too, 0 to 0.9.")
    ] = None,
    mirror: Annotated[
        str | None, typer.Option("--mirror", help="Average over mirrored copies: auto, none, left-right, all.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Fewer windows; details may suffer.")] = False,
    best: Annotated[
        bool, typer.Option("--best", help="Mirrored windows in full precision, several times slower.")
    ] = False,
    series: Annotated[
        str | None,
        typer.Option(
            "--series",
            help="Which DICOM series to take: UID, number, case id, or description with * and ?; '*' for all. Without "
            "it, the one of each study that fits the model's card.",
        ),
    ] = None,
    allow_uneven: AllowUnevenOption = False,
    save: Annotated[
        str | None, typer.Option("--save", help="Maps to write besides: probabilities, entropy, comma-separated.")
    ] = None,
    config: Annotated[
        str, typer.Option("--config", help="A shipped configuration's name, or a YAML file.")
    ] = "predict",
    shard: ShardOption = None,
    max_memory: MaxMemoryOption = None,
    max_seconds: MaxSecondsOption = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Segment every scan found under some files and folders.

    Leaves OUT/<case>/ with labels, volumes and a preview for each scan, and OUT/report.html to look at. A second run
    does only what is missing or changed. Exit code: 0 all done, 3 some cases failed, 4 nothing done.

    Example: medseg predict scans/ extra.nii.gz --model hippocampus --out results
    """
    from medseg.engine.isolation import Guard
    from medseg.engine.predict import predict as predict_batch
    from medseg.engine.runner import RunOptions, Shard
    from medseg.errors import UsageError

    if fast and best:
        raise UsageError("--fast and --best are two ends", fix="Choose one.")
    result = predict_batch(
        inputs,
        model,
        out,
        formats=None if formats is None else [name.strip() for name in formats.split(",") if name.strip()],
        device=device,
        engine=engine,
        overlap=overlap,
        mirror=mirror,
        preset="fast" if fast else "best" if best else None,
        series=series,
        allow_uneven=allow_uneven,
        save=[name.strip() for name in (save or "").split(",") if name.strip()],
        config=config,
        overrides=settings or [],
        options=RunOptions(
            overwrite, dry_run, Shard() if shard is None else Shard.parse(shard), guard=Guard(max_memory, max_seconds)
        ),
    )
    print_result(result, json=json, dry_run=dry_run)
    return 0 if dry_run and result.outcomes else result.exit_code
