"""How good labels are, in figures people can cite."""

from medseg.callable_room import make_callable

make_callable(__name__)
