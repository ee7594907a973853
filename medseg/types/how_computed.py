"""How a prediction was computed: what ran the network, why that, and how many windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class WindowCount:
    """Windows of a scan.

    Parameters
    ----------
    computed : int
        Shown to the network. A scan cut into strips for want of memory has some of its windows computed twice.
    reused : int
        Of one value throughout, such as air that was clipped: they reuse the result of one that was computed.
    skipped : int
        Far from anything the low-resolution stage of a cascade found.
    """

    computed: int = 0
    reused: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.computed + self.reused + self.skipped


@dataclass(frozen=True)
class HowComputed:
    """What computed the labels of a scan.

    Parameters
    ----------
    engine : str
        Program and version, for instance ``"openvino 2026.4.1"``.
    device : str
        ``cpu``, ``cuda:0``, ...; empty where an engine was handed over ready.
    precision : str
        ``float32``, ``bfloat16`` or ``int8``; empty likewise.
    why : str
        Why these three, in words.
    instruction_set : str
        The fastest of the CPU's that the network may use, for instance ``avx512_bf16``; empty on a GPU.
    threads : int
        Of the CPU that compute the network; 0 where the program decides by itself.
    windows : WindowCount
        How many, and what became of them.
    """

    engine: str
    device: str = ""
    precision: str = ""
    why: str = ""
    instruction_set: str = ""
    threads: int = 0
    windows: WindowCount = WindowCount()

    def to_json(self) -> dict[str, Any]:
        """As ``status.json`` holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> HowComputed:
        """Read back what `to_json` gave."""
        return cls(**{**content, "windows": WindowCount(**content["windows"])})
