"""Registers a model package in MLflow under a name."""

from __future__ import annotations

import re
from pathlib import Path

from medseg.errors import UsageError
from medseg.io.files.temporary import temporary_folder
from medseg.models.package import ModelPackage
from medseg.models.public_copy import public_copy
from medseg.tracking.client import is_remote
from medseg.tracking.registered import Registry, registry_folder

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
        import numpy

        # Of classes that may share voxels, one channel for each, last.
        found = [self.model.segment(str(path)).to_nibabel() for path in list(model_input)]
        return [numpy.asarray(labels.dataobj) for labels in found]


set_model(Package())
'''


def register(package: ModelPackage, name: str | None = None, *, alias: str = CHAMPION) -> str:
    """Register a package, whose hashes are checked first, as the next version of a model, and give that the alias.

    The version belongs to the run that trained the package where this MLflow knows it, and names it otherwise. To a
    server goes a copy without names of cases and folders.

    Returns the address under which it is found, ``models:/NAME@alias``; the name is by default the package's own.
    """
    name = name or package.card.name
    for text, option in ((name, "--name"), (alias, "--alias")):
        if not NAME.fullmatch(text):
            raise UsageError(
                f"'{text}' is not a valid name", where=option, fix="Use letters, digits, '_', '.' and '-'."
            )
    package.weights()
    dice = package.card.mean_dice
    training = package.card.training
    with temporary_folder() as folder:
        code = Path(folder) / "package_model.py"
        code.write_text(CODE, encoding="utf-8")
        registry = Registry(registry_folder())
        if is_remote(registry.uri):
            package = public_copy(package, Path(folder) / "package")
        tags = {
            "verb": "register",
            "sha256": package.hash,
            **({} if dice is None else {"mean_dice": f"{dice:.4f}"}),
            **({} if training.run is None else {"training_run": training.run}),
            **({} if not training.parent else {"parent_model": training.parent}),
        }
        registry.register(package, name, alias=alias, code=code, tags=tags)
    return f"models:/{name}@{alias}"
