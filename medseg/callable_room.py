"""Lets a room that is named like a verb be called like one: `medseg.train(...)` beside `medseg.train.loop`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["make_callable"]


class _CallableRoom(ModuleType):
    """A package whose call is the function of the same name in its module of the same name."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        verb = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"{self.__name__}.{verb}"), verb)(*arguments, **keywords)


def make_callable(package: str) -> None:
    """Make an imported package callable, by the way Python documents for customising modules (its `__class__`).

    Parameters
    ----------
    package : str
        Its dotted name, for instance ``"medseg.train"``, whose ``medseg.train.train.train`` will be called.
    """
    sys.modules[package].__class__ = _CallableRoom
