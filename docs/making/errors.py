"""What the errors page has: each kind of error with its code, and every message that the sources raise, read from them.

Nothing is imported, so that the site is built where medseg is not installed.
python docs/making/errors.py prints the page's tables.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

SOURCES = Path(__file__).resolve().parents[2] / "medseg"
BASE = "MedsegError"


@dataclass(frozen=True)
class Kind:
    """A class of error: its base, what it means, its exit code, and the module it is in."""

    name: str
    base: str
    meaning: str
    exit_code: int | None
    module: str

    @property
    def code(self) -> str:
        """As a message ends with, such as ``E-geometry-mismatch``."""
        return code_of(self.name)


@dataclass(frozen=True)
class Message:
    """What is wrong and what to do about it; what depends on the case is an ellipsis."""

    kind: str
    what: str
    fix: str


GIVE = "Give a scan that the model is for, or add --anyway."
KEYS = "Write a value that the reference of configurations allows for that key."
OPTION = "`medseg VERB --help` shows what each option takes."
# Messages of which no call has the whole: their parts are put together where they are raised. A test finds their words.
PUT_TOGETHER = (
    Message("ConfigError", "unknown key '…'", "Take the key that the message suggests, or one of those it lists."),
    Message("ConfigError", "…: must be a number, not …", KEYS),
    Message("UsageError", "--… …: must be one or more of …, with commas between them", OPTION),
    Message("UsageError", "--… …: must be a number", OPTION),
    Message(
        "UsageError", "--… …: must have a unit, such as …m for minutes or …s for seconds", "Write 10m, 90s or 1.5h."
    ),
    Message(
        "UsageError",
        "--device …: no CUDA GPUs found",
        "Use --device cpu, or install PyTorch for CUDA; `medseg doctor`.",
    ),
    Message(
        "InputError",
        "its name says NIfTI, but it is a text file",
        "Copy or export it again; if it never was a scan, rename it or take it out of the folder.",
    ),
    Message("NotForThisModel", "The scan is a 2D image of … voxels; the model is for volumes", GIVE),
    Message("NotForThisModel", "The scan is a volume of … voxels; the model is for 2D images", GIVE),
    Message(
        "NotForThisModel", "The scan has … channels or times; the model is for …", "Give those alone, as one scan."
    ),
    Message("NotForThisModel", "The scan shows … by its header; the model is for …", GIVE),
    Message("NotForThisModel", "The scan covers …; the model is for … to …", GIVE),
    Message("NotForThisModel", "The scan's voxels lie … apart; the model is for no more than …", GIVE),
    Message(
        "NotForThisModel", "The scan holds no intensities: most of its voxels are NaN, infinite or beyond float32", GIVE
    ),
    Message("NotForThisModel", "The scan has the same intensity, …, in every voxel", GIVE),
    Message("NotForThisModel", "The scan has no more than … different intensities, as a mask or label map has", GIVE),
    Message("NotForThisModel", "The scan has intensities from … to …, which are no Hounsfield units of a CT", GIVE),
    Message("NotForThisModel", "The scan shows nothing but noise", GIVE),
    Message("NotForThisModel", "The model's regions were not found with certainty: …", GIVE),
    Message("NotForThisModel", "The network is far less certain than on the scans it is for", GIVE),
)
# What the page says of a kind besides, in Markdown.
BESIDES = {
    "NotForThisModel": "The case is withheld, with the gate's reason: [how the gate decides](../explanation/gate.md)."
}


def code_of(name: str) -> str:
    """Code of a class's name; the same as `medseg.errors.MedsegError.code`."""
    return "E-" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name.removesuffix("Error") or name).lower()


@cache
def trees() -> dict[Path, ast.Module]:
    """Every source file, parsed."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCES.rglob("*.py"))}


def kinds(parsed: dict[Path, ast.Module]) -> dict[str, Kind]:
    """Every class that derives from `MedsegError`, by name, bases first."""
    classes = {
        node.name: (node, path)
        for path, tree in parsed.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.bases and isinstance(node.bases[0], ast.Name)
    }
    found: dict[str, Kind] = {}
    waiting = [BASE]
    while waiting:
        base = waiting.pop(0)
        for name, (node, path) in classes.items():
            if node.bases[0].id == base and name not in found and not name.startswith("_"):  # type: ignore[attr-defined]
                inherited = found[base].exit_code if base in found else 4
                module = ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts)
                meaning = (ast.get_docstring(node) or "").split("\n\n")[0]
                found[name] = Kind(name, base, " ".join(meaning.split()), _exit_code(node) or inherited, module)
                waiting.append(name)
    return found


def _exit_code(node: ast.ClassDef) -> int | None:
    for line in node.body:
        if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "exit_code":
            return int(ast.literal_eval(line.value))
    return None


def messages(parsed: dict[Path, ast.Module], known: dict[str, Kind]) -> list[Message]:
    """Every message that the sources raise whole, with those that they put together."""
    found = set(PUT_TOGETHER)
    for tree in parsed.values():
        named = _texts(tree)
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "id", "") if isinstance(node, ast.Call) else ""
            if name in known and isinstance(node, ast.Call) and node.args:
                fix = next((word.value for word in node.keywords if word.arg == "fix"), None)
                what = _text(node.args[0], named)
                if len(re.findall(r"[a-z]{2,}", what)) >= 3:
                    found.add(Message(name, what, "" if fix is None else _text(fix, named)))
    return sorted(found, key=lambda one: (one.what.lstrip("…' "), one.fix))


def _texts(tree: ast.Module) -> dict[str, str]:
    """The text of each name that a module assigns once, and that is nothing else in it."""
    given = Counter(
        node.arg if isinstance(node, ast.arg) else node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.arg) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    )
    return {
        node.targets[0].id: _text(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and given[node.targets[0].id] == 1
    }


def _text(node: ast.expr, named: Mapping[str, str] = MappingProxyType({})) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left, named) + _text(node.right, named)
    if isinstance(node, ast.Name):
        return named.get(node.id, "…")
    return "…"


def page() -> str:
    """The page's part for each kind: its meaning, exit code and messages."""
    parsed = trees()
    known = kinds(parsed)
    lines: list[str] = []
    said = messages(parsed, known)
    for kind in known.values():
        lines += [f"## {kind.code}", "", f"{kind.meaning} Exit code {kind.exit_code}. In Python: `{kind.name}`.", ""]
        lines += [BESIDES[kind.name], ""] if kind.name in BESIDES else []
        mine = [one for one in said if one.kind == kind.name]
        if mine:
            lines += ["| message | what to do |", "|---|---|"]
            lines += [f"| {_escaped(one.what)} | {_escaped(one.fix) or _escaped(kind.meaning)} |" for one in mine]
            lines.append("")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Text as it is for a cell of a table; what stands between backticks stays code."""
    parts = re.split(r"(`[^`|]+`)", " ".join(text.split()))
    parts[::2] = [re.sub(r"([|>*_`\[\]\\])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "".join(parts)


if __name__ == "__main__":
    print(page())
