"""`medseg models import`, `export` and `optimize`: model packages made of other models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from medseg.cli.options import INPUT, MODEL, RUN, WHAT, WRITE, JsonOption, ModelArgument, argument, option
from medseg.cli.verb import print_json
from medseg.config.bounds import AtLeast1, Folds, matching, names_in, some_of

ModelName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_.-]*",
        "letters, digits, dots, hyphens and underscores, and begin with a letter or digit",
    ),
]
Precisions = Annotated[str, some_of("bfloat16", "int8")]


def import_model(
    name: Annotated[
        str,
        option(
            MODEL,
            "--name",
            help="Name by which --model will find it.",
            metavar="NAME",
            kind=ModelName,
        ),
    ],
    path: Annotated[
        Path | None,
        argument(
            INPUT,
            "INPUT",
            help="Results folder or zip of nnU-Net v2, TotalSegmentator's too, MONAI bundle, TorchScript, ONNX, "
            "weights, or a model package.",
            exists=True,
        ),
    ] = None,
    composite: Annotated[
        Path | None,
        option(
            INPUT,
            "--composite",
            help="Instead of INPUT: YAML file that describes one model made of several.",
            metavar="FILE",
            exists=True,
        ),
    ] = None,
    card: Annotated[
        Path | None,
        option(
            MODEL,
            "--card",
            help="YAML file with parts of a model card that the files lack or have wrong.",
            metavar="FILE",
            exists=True,
        ),
    ] = None,
    trust: Annotated[
        bool, option(MODEL, "--trust", help="Allow this TorchScript program to run on this machine.")
    ] = False,
    out: Annotated[
        Path | None,
        option(INPUT, "--out", "-o", help="Folder for the package, instead of the user's store.", metavar="DIR"),
    ] = None,
    configuration: Annotated[
        str | None,
        option(
            WHAT,
            "--configuration",
            help="Configuration of nnU-Net, such as 3d_fullres, where there are several.",
            metavar="NAME",
        ),
    ] = None,
    folds: Annotated[
        str | None,
        option(
            WHAT,
            "--folds",
            help="Folds of nnU-Net: all, or numbers such as 0,1. By default, every numbered one.",
            metavar="all|N,...",
            kind=Folds,
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        option(
            WHAT, "--checkpoint", help="File in each fold of nnU-Net. By default, checkpoint_final.pth.", metavar="NAME"
        ),
    ] = None,
    orientation: Annotated[
        Literal["RAS", "stored"] | None,
        option(
            WHAT,
            "--orientation",
            help="Orientation of the training data: RAS where all of it was stored so. By default, as nnU-Net reads.",
        ),
    ] = None,
    license_use: Annotated[
        Literal["any", "non-commercial", "research"] | None,
        option(
            MODEL,
            "--license",
            help="How the weights may be used, as their license says; predict --clinical takes only any.",
        ),
    ] = None,
    overwrite: Annotated[bool, option(RUN, "--overwrite", help="Replace a model of the same name.")] = False,
    json: JsonOption = False,
) -> int:
    """Import a model trained elsewhere; no code that comes with it is run.

    Example: medseg models import Dataset004_Hippocampus/nnUNetTrainer__nnUNetPlans__3d_fullres --name hippo-nnunet
    """
    from medseg.errors import UsageError
    from medseg.models.importing import import_composite
    from medseg.models.importing import import_model as import_package

    if (path is None) == (composite is None):
        raise UsageError("give either INPUT or --composite FILE", fix="Name what is to be imported.")
    if path is None:
        assert composite is not None
        given = {"--card": card, "--trust": trust, "--configuration": configuration, "--folds": folds}
        given |= {"--checkpoint": checkpoint, "--orientation": orientation}
        if unfit := [name for name, value in given.items() if value]:
            raise UsageError(
                f"{unfit[0]} does not go with --composite", fix="Say it of each part in the file, where it applies."
            )
        package = import_composite(composite, name, out=out, license_use=license_use, overwrite=overwrite)
    else:
        package = import_package(
            path,
            name,
            out=out,
            card=card,
            trust=trust,
            configuration=configuration,
            folds=None if folds is None else names_in(folds),
            checkpoint=checkpoint,
            orientation=orientation,
            license_use=license_use,
            overwrite=overwrite,
        )
    if json:
        print_json({"name": name, "folder": package.folder, "sha256": package.hash, "limits": package.card.limits})
    else:
        sys.stdout.write(f"{package.folder}\n")
    for limit in package.card.limits:
        sys.stderr.write(f"{limit}\n")
    return 0


def export_model(
    model: ModelArgument,
    format: Annotated[
        Literal["zip", "onnx"],
        option(WRITE, "--format", help="What to write: the package as one file, or the network for faster engines."),
    ] = "zip",
    out: Annotated[
        Path | None,
        option(
            INPUT,
            "--out",
            "-o",
            help="Zip file to write, or folder for ONNX. Without it, ONNX goes where predict finds it.",
            metavar="PATH",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Write a model as one zip, which --model takes as it is, or its network as ONNX for faster engines.

    Example: medseg models export hippocampus --format onnx
    """
    from medseg.errors import UsageError
    from medseg.tracking.resolve import resolve_model

    package = resolve_model(model, option="MODEL")
    if format == "onnx" and package.parts:
        from medseg.infer.engines.onnx_export import export_onnx

        if out is not None:
            raise UsageError("a composite's networks are written into its parts", fix="Omit --out.")
        for part in package.parts:
            export_onnx(part, None)
        report: dict[str, object] = {"parts": len(package.parts), "file": str(package.folder)}
    elif format == "onnx":
        from medseg.infer.engines.onnx_export import export_onnx

        report = export_onnx(package, out)
    else:
        from medseg.models.zipping import write_zip

        if out is None:
            raise UsageError("--format zip needs a file to write", fix="Add for instance --out model.zip.")
        write_zip(package, out)
        report = {"file": str(out)}
    if json:
        print_json(report)
    else:
        for what, value in report.items():
            sys.stdout.write(f"{value}\n" if what == "file" else f"{what}\t{value}\n")
    return 0


def optimize(
    model: ModelArgument,
    data: Annotated[
        Path, option(INPUT, "--data", "-i", help="Dataset with labels, in any layout.", metavar="DATASET", exists=True)
    ],
    precision: Annotated[
        str | None,
        option(
            WHAT,
            "--precision",
            help="Precisions to measure: bfloat16, int8, or both. By default, all that run here.",
            metavar="PRECISION,...",
            kind=Precisions,
        ),
    ] = None,
    cases: Annotated[
        int, option(WHAT, "--cases", help="Number of cases to measure at most, 1 or more.", metavar="N", kind=AtLeast1)
    ] = 50,
    out: Annotated[
        Path | None,
        option(INPUT, "--out", "-o", help="Folder for a copy of the package, instead of adding to it.", metavar="DIR"),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Measure what faster, less precise ways to run a model cost in Dice, and write it on its card.

    Cases the card names as held out are measured where the dataset has them. From then on predict takes the fastest
    of the precisions that cost no class more than 0.002.

    Example: medseg models optimize hippocampus --data DATASET --out hippocampus-fast
    """
    from dataclasses import asdict

    from medseg.models.zipping import copy_package
    from medseg.tracking.resolve import resolve_model
    from medseg.training.selection.optimize import optimize as measure
    from medseg.training.selection.optimize import parse_precisions

    package = resolve_model(model, option="MODEL")
    package.content()  # a composite has none: its parts are measured
    if out is not None:
        package = copy_package(package, out)
    package, measured = measure(package, data, precisions=parse_precisions(precision), most=cases)
    if json:
        print_json({"folder": package.folder, "sha256": package.hash, "precisions": [asdict(m) for m in measured]})
        return 0
    sys.stdout.write("precision\tclass\tdice\tdrop\tseconds a case\tsmallest agreement\tused\n")
    for found in measured:
        for name, value in found.dice.items():
            sys.stdout.write(
                f"{found.precision}\t{name}\t{value:.4f}\t{found.drop[name]:.4f}\t{found.seconds:.2f}\t"
                f"{found.agreement:.5f}\t{'yes' if found.allowed else 'no'}\n"
            )
    sys.stderr.write(f"written on the card in {package.folder}\n")
    return 0
