"""What `medseg.review` is beyond a package: the verb's function, called by its name."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any


class CalledPackage(ModuleType):
    """A package that is called as its function `review` is, by the same signature; see `medseg.review.call_types`."""

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.review)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Show results in a browser."""
        return self.review(*arguments, **options)
