"""`medseg models`: the model packages on this machine, and other people's models brought in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from medseg.cli.model_packages import export_model, import_model, optimize
from medseg.cli.options import MODEL, WRITE, DeviceOption, JsonOption, ModelArgument, option
from medseg.cli.verb import print_json, verb
from medseg.config.bounds import AliasName, RegisteredName

group = typer.Typer(
    no_args_is_help=True,
    help="""List, show, verify, import, export, register and optimize models.

    `medseg models VERB --help` shows the options of a verb, with an example.

    Example: medseg models show hippocampus
    """,
)
LOOK, MOVE, FASTER = "Look at", "Bring in and pass on", "Make faster"


@group.command("list", rich_help_panel=LOOK)
@verb
def list_models(json: JsonOption = False) -> int:
    """List the models that `--model` knows by name: modality, body part, mean Dice, title.

    Example: medseg models list
    """
    from medseg import resources
    from medseg.models.card_text import cards_table, overview
    from medseg.models.package import load_package
    from medseg.models.store import stored

    found = {**stored(), **resources.models()}
    cards = {name: load_package(folder).card for name, folder in sorted(found.items())}
    if json:
        print_json([{"name": name, **overview(card), "folder": found[name]} for name, card in cards.items()])
        return 0
    sys.stdout.write(cards_table(cards))
    return 0


@group.command("show", rich_help_panel=LOOK)
@verb
def show(
    model: ModelArgument,
    yaml: Annotated[bool, option(WRITE, "--yaml", help="Print the whole card as YAML.")] = False,
    json: JsonOption = False,
) -> int:
    """Show a model's card on one screen: title, body part, modality, classes and their Dice, limits.

    Example: medseg models show hippocampus
    """
    from medseg.models.card_text import card_text
    from medseg.tracking.resolve import resolve_model

    package = resolve_model(model, option="MODEL")
    content = package.card.model_dump(mode="json", exclude_none=True)
    if json:
        print_json({**content, "sha256": package.hash, "folder": package.folder})
    elif yaml:
        from yaml import safe_dump

        sys.stdout.write(safe_dump(content, sort_keys=False, allow_unicode=True, width=110))
    else:
        sys.stdout.write(card_text(package.card))
    return 0


@group.command("register", rich_help_panel=MOVE)
@verb
def register(
    model: ModelArgument,
    name: Annotated[
        str | None,
        option(
            MODEL,
            "--name",
            help="Name in the registry. By default, the package's own.",
            metavar="NAME",
            kind=RegisteredName,
        ),
    ] = None,
    alias: Annotated[
        str,
        option(MODEL, "--alias", help="Alias of this version from now on.", metavar="ALIAS", kind=AliasName),
    ] = "champion",
    json: JsonOption = False,
) -> int:
    """Register a model with MLflow, so that --model models:/NAME@ALIAS finds its newest version.

    The registry is MLFLOW_TRACKING_URI's, or one beside the imported models.

    Example: medseg models register runs/hippocampus/model --name hippocampus
    """
    from medseg.tracking.register import register as register_package
    from medseg.tracking.resolve import resolve_model

    package = resolve_model(model, option="MODEL")
    address = register_package(package, name, alias=alias)
    if json:
        print_json({"address": address, "sha256": package.hash})
    else:
        sys.stdout.write(f"{address}\n")
    return 0


@group.command("verify", rich_help_panel=LOOK)
@verb
def verify(
    model: ModelArgument,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> int:
    """Check a model's hashes, load its weights and run its network once.

    Example: medseg models verify hippocampus
    """
    from medseg.config.load import build
    from medseg.infer.options import InferOptions
    from medseg.infer.verify import verify as verify_package
    from medseg.tracking.resolve import resolve_model

    found = verify_package(
        resolve_model(model, option="MODEL"), build(InferOptions, {"device": device}, where="medseg models verify")
    )
    if json:
        print_json(found)
    else:
        for what, result in found.items():
            sys.stdout.write(f"{what}\t{result}\n")
    return 0


group.command("import", rich_help_panel=MOVE)(verb(import_model))
group.command("export", rich_help_panel=MOVE)(verb(export_model))
group.command("optimize", rich_help_panel=FASTER)(verb(optimize))
