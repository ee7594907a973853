"""Files damaged on purpose."""

from pathlib import Path


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Put bytes at a place of a file, counted from its end where it is negative."""
    raw = bytearray(path.read_bytes())
    at %= len(raw)
    raw[at : at + len(content)] = content
    path.write_bytes(raw)


def flip(path: Path, at: int, bits: int = 1) -> None:
    overwrite(path, at, bytes([path.read_bytes()[at] ^ bits]))


def replace(path: Path, old: bytes, new: bytes) -> None:
    """The first that is there."""
    path.write_bytes(path.read_bytes().replace(old, new, 1))


def cut_short(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
