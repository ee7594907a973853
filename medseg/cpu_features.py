"""What the CPU of this machine can compute in hardware, read without importing a library that takes seconds."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path

# As Linux names them, in order of speed; the last two, and ARM's, compute bfloat16.
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
# Limits of oneDNN, which computes convolutions for PyTorch and OpenVINO, under which it has no bfloat16.
WITHOUT_BFLOAT16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}


@cache
def _facts() -> dict[str, str]:
    """First value of each line of Linux's description of the CPU; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return dict(reversed(pairs))


def cpu_model() -> str:
    """Name of the CPU, which `platform` leaves empty on most Linux systems."""
    return _facts().get("model name") or platform.processor()


def cpu_description() -> str:
    """Name, cores and fastest instruction set, as figures that depend on them are published with."""
    sets = instruction_sets()
    name = re.sub(r"\((R|TM)\)|\s(CPU|[Pp]rocesso[r])\b", "", cpu_model())  # "Intel(R) Xeon(R) CPU"
    return ", ".join((name or platform.machine(), f"{os.cpu_count()} cores", *sets[-1:]))


def instruction_sets() -> tuple[str, ...]:
    """Those of INSTRUCTION_SETS that the CPU has and oneDNN may use; empty where the system does not say."""
    flags = set(_flags())
    found = tuple(name for name in INSTRUCTION_SETS if name in flags)
    limit = _limit()
    if limit.startswith("AVX2"):
        return found[:1]
    return found[:2] if limit in WITHOUT_BFLOAT16 else found


def has_bfloat16() -> bool:
    """Whether bfloat16 is computed in hardware; in software a convolution takes up to 300 times as long.

    False where the system does not say: float32 is never wrong.
    """
    return _limit() not in WITHOUT_BFLOAT16 and not BFLOAT16.isdisjoint(_flags())


def _flags() -> list[str]:
    facts = _facts()
    return (facts.get("flags") or facts.get("Features") or "").split()


def _limit() -> str:
    """The instruction set above which oneDNN was told not to go; empty where it may use all."""
    return os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
