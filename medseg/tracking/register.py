"""Registers a model package in MLflow under a name."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from medseg.errors import UsageError
from medseg.models.package import ModelPackage

__all__ = ["CHAMPION", "CODE", "NAME", "register"]

CHAMPION = "champion"


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]*")


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
    from medseg.tracking.registered import registry_folder
    from medseg.tracking.runs import Registry

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
        Registry(registry_folder()).register(
            package.folder, name, code=code, alias=alias, description=package.card.title, tags=tags
        )
    return f"models:/{name}@{alias}"
