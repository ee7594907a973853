from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import medseg
from medseg.cli.app import run
from medseg.config.load import read_yaml
from medseg.config.safe_yaml import DEEPEST, MOST_NODES, YamlRefused, parse_yaml
from medseg.engine.channel_table import table_rows
from medseg.errors import ConfigError, MedsegError
from medseg.models.adapters.monai_config import read_mapping
from medseg.models.composite_description import read_description
from medseg.models.package import load_package
from medseg.service.node.load import load_node

LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{k: *a{i - 1}, l: *a{i - 1}}}\n" for i in range(1, 40))
HOSTILE = {
    "aliases of aliases": LAUGHS,
    "mappings of mappings": MERGED,
    "nested": "a: " + "[" * 20_000,
    "nested and closed": "a: " + "[" * 20_000 + "]" * 20_000,
    "nested in blocks": "".join("  " * n + "a:\n" for n in range(300)),
    "no such day": "a: 2001-99-99",
    "number of 5,000 digits": "a: " + "9" * 5_000,
    "number of 40 digits": "a: " + "9" * 40,
    "holds itself": "a: &a [*a]",
    "mapping that holds itself": "a: &a {b: *a}",
    "holds itself as a key": "? &a [*a]\n: 1",
    "long": "a: " + "x" * (5 << 20),
    "key twice": "a: 1\na: 2",
    "code": "a: !!python/object/apply:os.system [true]",
    "list as a key": "? [1]\n: 1",
    "text": "just text",
    "unknown anchor": "a: *b",
    "a truth that is none": 'a: !!bool "abc"',
    "no digits": 'a: !!int ""',
    "an empty fraction": 'a: !!float ""',
    "no time": 'a: !!timestamp "abc"',
    "control characters": "a: \x00\x1b[2J",
    "a number in base 60": "a: 1" + ":1" * 2_000,
    "a time, which is a number": "a: 12:30",
    "a fraction of 300 digits": "a: 0." + "3" * 300,
    "half a character": r'a: "\ud800"',
    "half a character in a key": r'"\udfff": 1',
    "no character": r'a: "\U00110000"',
}


STEPS = 20_000  # of all readers together; the most that one takes here is 1,127


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the loader of YAML does: a name for each token it fetches, node it composes and value it makes."""
    taken: list[str] = []

    def counted(name: str, step: Callable[..., object]) -> Callable[..., object]:
        return lambda *given, **more: (taken.append(name), step(*given, **more))[1]

    for name in ("fetch_more_tokens", "compose_node", "construct_object"):
        monkeypatch.setattr(yaml.SafeLoader, name, counted(name, getattr(yaml.SafeLoader, name)))
    return taken


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_every_reader_of_yaml_refuses_it_with_a_sentence(tmp_path, text, capsys, steps):
    """A configuration, a card, a dataset's description, a bundle's, a composite's and a node's, a table of cases."""
    file = tmp_path / "some.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_yaml(file)
    assert len(str(refused.value).replace(str(file), "")) < 300
    for read in (read_mapping, load_node, read_description, lambda path: table_rows(path, ())):
        with pytest.raises(MedsegError):
            read(file)
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(MedsegError, match=r"model\.yaml"):
        load_package(tmp_path)
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "dataset.yaml").write_text(text)
    assert run(["audit", str(dataset)]) in (2, 4)
    assert run(["run", "batch-segmentation", str(dataset), "--config", str(file), "--out", str(tmp_path / "o")]) == 2
    assert "bug" not in capsys.readouterr().err
    assert len(steps) < STEPS  # each is refused while it is read


@pytest.mark.parametrize("text", ["~: 1", "yes: 1", "1.5: 1", "2001-01-02: 1", "a: !!set {x, y}", "a: !!binary aGk="])
def test_a_key_or_value_of_a_type_that_nobody_expects_is_an_error_with_a_sentence(tmp_path, text, capsys):
    """It is valid YAML; whoever compares the key with those there are must not take it for text."""
    file, dataset = tmp_path / "some.yaml", tmp_path / "dataset"
    dataset.mkdir()
    for path in (file, dataset / "dataset.yaml", tmp_path / "model.yaml"):
        path.write_text(text)
    for read in (load_node, read_description):
        with pytest.raises(MedsegError):
            read(file)
    for line in (
        ["audit", str(dataset)],
        ["run", "batch-segmentation", str(dataset), "--config", str(file), "--out", str(tmp_path / "o")],
        ["evaluate", str(dataset), str(dataset), "--config", str(file), "--out", str(tmp_path / "e")],
        ["serve", "--config", str(file)],
        ["models", "show", str(tmp_path)],
        ["models", "import", str(tmp_path), "--name", "x", "--out", str(tmp_path / "p")],
    ):
        assert run(line) in (2, 4)
    assert "bug" not in capsys.readouterr().err


def test_what_is_ordinary_is_read():
    assert parse_yaml("base: &b {x: 1}\nuse: {<<: *b, y: [1, 2.5, 2001-01-02, null, yes, text]}\n")["use"]["x"] == 1
    deep = "a: " + "[" * (DEEPEST - 2) + "]" * (DEEPEST - 2)
    assert parse_yaml(deep)
    with pytest.raises(yaml.YAMLError, match="nested"):
        parse_yaml("a: " + "[" * DEEPEST + "]" * DEEPEST)
    many = "[" + "1," * 5_000 + "]"
    assert len(parse_yaml(f"a: &a {many}\nb: [*a, *a]")["a"]) == 5_000
    assert MOST_NODES > 100_000


def test_yaml_is_read_in_one_place():
    """No other module loads YAML."""
    root = Path(medseg.__file__).parent
    readers = [p.name for p in root.rglob("*.py") if any(w in p.read_text() for w in ("yaml.load(", "yaml.safe_load("))]
    assert readers == ["safe_yaml.py"]


@pytest.mark.parametrize("text", ["a: 010", "a: -07", "a: [1, 00]"])
def test_a_number_with_a_leading_zero_is_refused_because_it_is_octal(text):
    with pytest.raises(YamlRefused, match="leading zero in line 1"):
        parse_yaml(text)
    assert parse_yaml("a: [0, 10, 0x1F, 0.5, '010', 018]") == {"a": [0, 10, 31, 0.5, "010", "018"]}
