"""What the errors page has: each kind of error with its code, and every message that the sources raise, read from them.

Nothing is imported, so that the site is built where medseg is not installed.
python docs/making/errors.py prints the page's tables.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
    """Every message that the sources raise whole."""
    found = set()
    for tree in parsed.values():
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "id", "") if isinstance(node, ast.Call) else ""
            if name in known and isinstance(node, ast.Call) and node.args:
                fix = next((word.value for word in node.keywords if word.arg == "fix"), None)
                what = _text(node.args[0])
                if len(re.findall(r"[a-z]{2,}", what)) >= 3:
                    found.add(Message(name, what, "" if fix is None else _text(fix)))
    return sorted(found, key=lambda one: (one.what.lstrip("…' "), one.fix))


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "…"


def page() -> str:
    """The page's part for each kind: its meaning, exit code and messages."""
    parsed = trees()
    known = kinds(parsed)
    lines: list[str] = []
    said = messages(parsed, known)
    for kind in known.values():
        lines += [f"## {kind.code}", "", f"{kind.meaning} Exit code {kind.exit_code}. In Python: `{kind.name}`.", ""]
        mine = [one for one in said if one.kind == kind.name]
        if mine:
            lines += ["| message | what to do |", "|---|---|"]
            lines += [f"| {_escaped(one.what)} | {_escaped(one.fix) or _escaped(kind.meaning)} |" for one in mine]
            lines.append("")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return re.sub(r"([|>*_`\[\]\\])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")


if __name__ == "__main__":
    print(page())
