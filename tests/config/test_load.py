from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from medseg.config.load import apply_overrides, build, read_yaml
from medseg.errors import ConfigError, UsageError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    overlap: float = 0.5


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    segment: Inner = Inner()


def test_overrides_reach_into_the_tree_and_leave_the_original_alone() -> None:
    values = {"segment": {"overlap": 0.5, "device": "cpu"}}
    changed = apply_overrides(values, ["segment.overlap=0.25", "save.formats=[nifti]", "name=a=b"])
    assert changed == {"segment": {"overlap": 0.25, "device": "cpu"}, "save": {"formats": ["nifti"]}, "name": "a=b"}
    assert values == {"segment": {"overlap": 0.5, "device": "cpu"}}


@pytest.mark.parametrize("override", ["overlap", "=1", ".a=1", "a.=1", "segment.overlap.x=1", "a=[1"])
def test_an_override_that_cannot_be_meant_is_refused(override: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        apply_overrides({"segment": {"overlap": 0.5}}, [override])


def test_an_unknown_key_is_named_by_its_path_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        build(Outer, {"segment": {"overlop": 1}}, where="mine.yaml")
    assert str(caught.value) == "mine.yaml: unknown key 'segment.overlop'. Known keys there: overlap."


def test_a_wrong_value_is_named_with_what_it_was() -> None:
    with pytest.raises(ConfigError, match=r"segment\.overlap: .*'much'"):
        build(Outer, {"segment": {"overlap": "much"}})


def test_yaml_is_data_and_never_code(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["[1, 2]", "just text"])
def test_yaml_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="keys and values"):
        read_yaml(path)


def test_a_missing_file_and_a_broken_line_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        read_yaml(tmp_path / "absent.yaml")
    path = tmp_path / "broken.yaml"
    path.write_text("a: 1\nb: [1\n")
    with pytest.raises(ConfigError, match="near line 3"):
        read_yaml(path)


def test_an_error_of_a_validator_is_said_in_its_own_words() -> None:
    class Uncertaintying(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _known(cls, value: str) -> str:
            raise ValueError(f"nobody is called '{value}'")

    with pytest.raises(ConfigError, match=r"name: nobody is called 'x'\. It was 'x'\.") as caught:
        build(Uncertaintying, {"name": "x"}, where="a file")
    assert "Value error" not in str(caught.value)
