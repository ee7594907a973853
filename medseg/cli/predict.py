"""`medseg predict`: batch segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from medseg.cli.options import (
    INPUT,
    RUN,
    WRITE,
    AllowIncompleteOption,
    AllowUnevenOption,
    ConfigOption,
    DryRunOption,
    JsonOption,
    KeepNamesOption,
    MaxMemoryOption,
    MaxSecondsOption,
    ModelOption,
    OptionalDeviceOption,
    OptionalInputsArgument,
    OutOption,
    OverwriteOption,
    RootOption,
    SetOption,
    ShardOption,
    WorkerCpusOption,
    option,
)
from medseg.cli.verb import print_result
from medseg.config.bounds import LABEL_FORMATS, LabelFormats, Maps, Overlap


def predict(
    model: ModelOption,
    out: OutOption,
    inputs: OptionalInputsArgument = None,
    manifest: Annotated[
        Path | None,
        option(
            INPUT,
            "--manifest",
            help="Table of the cases, as `medseg inspect --manifest` writes it; nothing else is looked at.",
            metavar="CSV",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    root: RootOption = None,
    formats: Annotated[
        str | None,
        option(
            WRITE,
            "--format",
            "-f",
            help=f"Formats to write: {', '.join(LABEL_FORMATS)}. Without it: nifti, and dicom-seg for DICOM scans.",
            metavar="FORMAT,...",
            kind=LabelFormats,
        ),
    ] = None,
    device: OptionalDeviceOption = None,
    engine: Annotated[
        Literal["auto", "torch", "openvino", "onnx"] | None,
        option(RUN, "--engine", help="Library that computes the network; auto takes the fastest on this machine."),
    ] = None,
    overlap: Annotated[
        float | None,
        option(
            RUN,
            "--overlap",
            help="Sliding-window overlap, 0 to 0.9. By default, the model card's, or 0.5.",
            metavar="FRACTION",
            kind=Overlap,
        ),
    ] = None,
    mirror: Annotated[
        Literal["auto", "none", "left-right", "all"] | None,
        option(RUN, "--mirror", help="Test-time mirroring: average over mirrored copies."),
    ] = None,
    fast: Annotated[bool, option(RUN, "--fast", help="Fewer windows: faster, and less accurate in details.")] = False,
    best: Annotated[
        bool, option(RUN, "--best", help="Mirrored windows in full precision: several times slower.")
    ] = False,
    series: Annotated[
        str | None,
        option(
            INPUT,
            "--series",
            help="DICOM series to segment: UID, number, case id, or description with * and ?; '*' for all. Without "
            "it, the one of each study that fits the model's card.",
            metavar="SERIES",
        ),
    ] = None,
    allow_uneven: AllowUnevenOption = False,
    allow_incomplete: AllowIncompleteOption = False,
    save: Annotated[
        str | None,
        option(
            WRITE,
            "--save",
            help="Maps to write besides: probabilities, entropy, or both.",
            metavar="MAP,...",
            kind=Maps,
        ),
    ] = None,
    keep_names: KeepNamesOption = False,
    config: ConfigOption = "predict",
    shard: ShardOption = None,
    ray: Annotated[
        str | None,
        option(
            RUN,
            "--ray",
            help="Run the cases on a Ray cluster: auto for the one this machine belongs to, or its address. Needs the "
            "extra ray.",
            metavar="auto|ADDRESS",
        ),
    ] = None,
    worker_cpus: WorkerCpusOption = None,
    max_memory: MaxMemoryOption = None,
    max_seconds: MaxSecondsOption = None,
    anyway: Annotated[
        bool,
        option(
            RUN,
            "--anyway",
            help="Segment scans that are not what the model is for too, and say so in every output; they are withheld "
            "otherwise.",
        ),
    ] = False,
    clinical: Annotated[
        bool,
        option(
            RUN,
            "--clinical",
            help="This is clinical use: refuse a model whose card does not say that its weights are for any use.",
        ),
    ] = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Segment every scan found under some files and folders.

    Leaves OUT/<case>/ with labels, volumes and a preview for each scan, and OUT/report.html to look at. A second run
    does only what is missing or changed. Exit code: 0 all done, 3 some failed or withheld, 4 nothing done.

    Example: medseg predict scans/ extra.nii.gz --model hippocampus --out results
    """
    from medseg.engine.predict import predict as predict_batch

    result = predict_batch(
        inputs or [],
        model,
        out,
        format=formats,
        device=device,
        engine=engine,
        manifest=manifest,
        root=root,
        overlap=overlap,
        mirror=mirror,
        fast=fast,
        best=best,
        series=series,
        allow_uneven=allow_uneven,
        allow_incomplete=allow_incomplete,
        save=save or (),
        config=config or "predict",
        settings=settings or [],
        shard=shard,
        ray=ray,
        worker_cpus=worker_cpus,
        max_memory=max_memory,
        max_seconds=max_seconds,
        anyway=anyway,
        clinical=clinical,
        overwrite=overwrite,
        dry_run=dry_run,
        keep_names=keep_names,
    )
    print_result(result, json=json, dry_run=dry_run)
    return result.exit_code
