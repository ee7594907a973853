"""What this process and the one that speaks with a cluster send each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lost:
    """What is heard of an actor that is gone."""

    reason: str


@dataclass(frozen=True)
class Finished:
    """What is heard when a call has given all it gives."""


@dataclass(frozen=True)
class Sent:
    """A value that every machine of the cluster has, as an argument of an actor."""

    number: int


@dataclass(frozen=True)
class Failed:
    """What is heard in place of an answer where Ray raised an error."""

    reason: str


@dataclass(frozen=True)
class WrongToken:
    """What is heard in place of an answer where the cluster refuses the token, or asks for one."""
