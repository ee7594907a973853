"""The one reader of YAML: data and never code, within bounds that are checked before anything grows.

A few hundred bytes of YAML can stand for gigabytes (aliases of aliases), hold themselves, or be nested deeper than
Python follows; a date or a number can be one that Python does not have. All of that is refused while it is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

LARGEST = 4 << 20  # bytes; a card that names a hundred thousand cases has less
DEEPEST = 50
MOST_NODES = 300_000  # values and keys, those that aliases repeat counted each time
LARGEST_NUMBER = 2**63 - 1
LONGEST_NUMBER = 100  # letters
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
SURROGATE = re.compile("[\ud800-\udfff]")
OCTAL = re.compile(r"[-+]?0[0-7_]*[0-7]")  # 010 is 8


class YamlRefused(yaml.MarkedYAMLError):
    """YAML that can be read and is not taken; its text continues 'the file'."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(problem=why)
        self.why, self.fix = why, fix


class _SafeLoader(yaml.SafeLoader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.nodes: dict[int, int] = {}  # how many each node stands for, by its identity; those open have none

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        self.depth += 1
        if self.depth > DEEPEST:
            raise YamlRefused(f"is nested more than {DEEPEST} levels deep", "Write it flatter.")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        if node is None:
            return None
        if is_alias:
            if id(node) not in self.nodes:
                line = node.start_mark.line + 1
                raise YamlRefused(f"has an anchor in line {line} that holds itself", "Write out what is meant.")
            return node
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        total = 1 + sum(self.nodes[id(part)] for part in inner)
        if total > MOST_NODES or len(self.nodes) > MOST_NODES:
            raise YamlRefused(f"stands for more than {MOST_NODES:,} values", "Write fewer, or fewer aliases.")
        self.nodes[id(node)] = total
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    line = key.start_mark.line + 1
                    raise YamlRefused(
                        f"has the key '{key.value[:80]}' twice, again in line {line}", "Keep one of them."
                    )
                keys.add((key.tag, key.value))
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag in NUMBERS and len(str(node.value)) > LONGEST_NUMBER:
            raise _impossible(node)
        if node.tag in NUMBERS and ":" in node.value:  # thousands of its digits take minutes to make one number of
            raise YamlRefused(
                f"has a number with colons in line {node.start_mark.line + 1} ({node.value}), which YAML reads in base "
                "60",
                "Write it in quotes if it is text, such as a time.",
            )
        if isinstance(node, yaml.ScalarNode) and SURROGATE.search(node.value):
            raise YamlRefused(
                f"holds half a character in line {node.start_mark.line + 1}, as no file can be written with",
                "Write the whole character.",
            )
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # a date that is none, a number too long for Python, `!!bool` of what is none
            raise _impossible(node) from error
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise _impossible(node)
        if type(value) is int and OCTAL.fullmatch(node.value):
            raise YamlRefused(
                f"has a number with a leading zero in line {node.start_mark.line + 1} ({node.value}), which YAML reads "
                f"as octal: {value}",
                "Omit the zero, or write it in quotes if it is text.",
            )
        return value


def _impossible(node: yaml.Node) -> YamlRefused:
    text = str(getattr(node, "value", ""))
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    return YamlRefused(
        f"has a value in line {node.start_mark.line + 1} that is no possible date or number ({shown})",
        "Correct it, or write it in quotes if it is text.",
    )


def parse_yaml(text: str) -> Any:
    """Read YAML; no mapping may have a key twice. Raises `yaml.YAMLError`, of which `YamlRefused` is one."""
    if len(text) > LARGEST:
        raise _too_large()
    try:
        return yaml.load(text, Loader=_SafeLoader)  # noqa: S506 (derives from SafeLoader)
    except RecursionError as error:
        raise YamlRefused("is nested too deeply", "Write it flatter.") from error
    except (ValueError, OverflowError) as error:  # "\\U00110000"
        raise YamlRefused("names a character that does not exist", "Correct what stands after \\U.") from error


def read_yaml_text(path: Path) -> Any:
    """Read a file of YAML whatever it holds; also raises what opening it raises."""
    if path.stat().st_size > LARGEST:
        raise _too_large()
    return parse_yaml(path.read_text(encoding="utf-8"))


def _too_large() -> YamlRefused:
    return YamlRefused(f"has more than {LARGEST >> 20} MiB", "Check that it is the file that is meant.")
