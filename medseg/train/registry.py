"""Registers model packages under a name, and finds them again as ``models:/NAME@alias`` or ``models:/NAME/VERSION``."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from medseg.errors import ModelError, UsageError
from medseg.models.package import ModelPackage
from medseg.models.store import kept_once, store_folder

__all__ = ["CHAMPION", "register", "registered"]

CHAMPION = "champion"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]*")
ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
CARD_FILE = "model.yaml"
# MLflow keeps this text and runs it when the model is loaded through it; medseg itself reads the package alone.
CODE = '''"""A medseg model package behind MLflow's interface: paths of scans in, label maps out."""

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Package(PythonModel):
    def load_context(self, context):
        import medseg

        self.model = medseg.load_model(context.artifacts["package"])

    def predict(self, context, model_input, params=None):
        return [self.model.segment(str(path)).labels.array for path in list(model_input)]


set_model(Package())
'''


def register(package: ModelPackage, name: str | None = None, *, alias: str = CHAMPION) -> str:
    """Register a package as the next version of a model, and give that the alias.

    Parameters
    ----------
    package : ModelPackage
        Its hashes are checked first.
    name : str, optional
        Of the registered model; by default the package's own.
    alias : str
        What the version will be called until another is.

    Returns
    -------
    str
        The address, ``models:/NAME@alias``, under which it is found.

    Raises
    ------
    UsageError
        When name or alias cannot be ones.
    InputError
        When MLflow does not take it.
    ModelError
        When the package is damaged.
    """
    from medseg.train.tracking import Registry

    name = name or package.card.name
    for text, option in ((name, "--name"), (alias, "--alias")):
        if not NAME.fullmatch(text):
            raise UsageError(f"'{text}' cannot be used", where=option, fix="Use letters, digits, '_', '.' and '-'.")
    package.weights()
    dice = package.card.validation.mean_dice if package.card.validation else None
    tags = {"verb": "register", "sha256": package.hash, **({} if dice is None else {"mean_dice": f"{dice:.4f}"})}
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "package_model.py"
        code.write_text(CODE, encoding="utf-8")
        Registry(_workspace()).register(
            package.folder, name, code=code, alias=alias, description=package.card.title, tags=tags
        )
    return f"models:/{name}@{alias}"


def registered(address: str) -> Path:
    """Folder of the package an address stands for, fetched once for each version.

    Raises
    ------
    UsageError
        When it is not written as an address is.
    InputError
        When the registry does not know it.
    ModelError
        When what it has is no model package.
    """
    from medseg.train.tracking import Registry

    match = ADDRESS.fullmatch(address)
    if match is None:
        raise UsageError(f"'{address}' names no registered model", fix="Write models:/NAME@champion or models:/NAME/3.")
    registry = Registry(_workspace())
    version, source = registry.find(match["name"], alias=match["alias"], version=match["version"])
    mark = hashlib.sha256(f"{registry.uri}\n{match['name']}\n{version}\n{source}".encode()).hexdigest()[:32]
    target = kept_once(store_folder().parent / "registered" / mark, lambda part: registry.fetch(source, part))
    cards = sorted(target.rglob(CARD_FILE))
    if len(cards) != 1:
        raise ModelError(
            f"what is registered holds {len(cards)} model packages, not one",
            where=address,
            fix="Register it with medseg models register.",
        )
    return cards[0].parent


def _workspace() -> Path:
    """Where the registry lies unless ``MLFLOW_TRACKING_URI`` says: beside this user's models."""
    return store_folder().parent
