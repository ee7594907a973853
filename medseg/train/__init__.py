"""From a dataset to a model package."""

from medseg.callable_room import make_callable

make_callable(__name__)
