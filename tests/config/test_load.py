from typing import Annotated, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from medseg.config.load import apply_overrides, build, merged, read_yaml, under, without_null
from medseg.errors import ConfigError, UsageError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    overlap: float = 0.5


def test_overrides_reach_into_the_tree_and_leave_the_original_alone():
    values = {"segment": {"overlap": 0.5, "device": "cpu"}}
    changed = apply_overrides(values, ["segment.overlap=0.25", "save.formats=[nifti]", "name=a=b"])
    assert changed == {"segment": {"overlap": 0.25, "device": "cpu"}, "save": {"formats": ["nifti"]}, "name": "a=b"}
    assert values == {"segment": {"overlap": 0.5, "device": "cpu"}}


def test_of_values_given_twice_those_above_count():
    below = {"segment": {"overlap": 0.5, "device": "cpu"}, "name": "a", "formats": ["nifti", "nrrd"]}
    above = {"segment": {"overlap": 0.25}, "formats": ["sr"], "seed": None}
    segment = {"overlap": 0.25, "device": "cpu"}
    assert merged(below, above) == {"segment": segment, "name": "a", "formats": ["sr"], "seed": None}
    assert below["segment"] == {"overlap": 0.5, "device": "cpu"}


@pytest.mark.parametrize("override", ["overlap", "=1", ".a=1", "a.=1", "segment.overlap.x=1", "a=[1"])
def test_an_override_that_cannot_be_meant_is_refused(override):
    with pytest.raises(UsageError, match="--set"):
        apply_overrides({"segment": {"overlap": 0.5}}, [override])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("[1, 2]", "keys and values"),
        ("just text", "keys and values"),
        ("a: 1\nb: [1\n", "near line 3"),
        ("a: {b: 1}\nc: 1\na: {}", "the file has the key 'a' twice, again in line 3"),
        (None, r"some\.yaml"),
    ],
    ids=["code", "list", "text", "broken line", "key twice", "no file"],
)
def test_yaml_that_cannot_be_read_is_named(tmp_path, text, words):
    path = tmp_path / "some.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_yaml(path)


def test_an_error_of_a_validator_is_said_in_its_own_words():
    class Named(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _known(cls, value: str) -> str:
            raise ValueError(f"nobody is called '{value}'")

    with pytest.raises(ConfigError, match=r"name: nobody is called 'x'\. It was 'x'\.") as caught:
        build(Named, {"name": "x"}, where="a file")
    assert "Value error" not in str(caught.value)


class Deep(BaseModel):
    model_config = ConfigDict(extra="forbid")
    steps: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = {}
    maybe: Inner | None = None
    skip: Annotated[float, Field(ge=0)] | Literal["auto", "none"] = "auto"
    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    half_open: float = Field(default=0.5, gt=0, lt=1)
    engine: Literal["torch", "onnx"] = "torch"
    count: int = 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"overlap": 2}, "overlap: must be between 0 and 0.9, not 2"),
        ({"half_open": 1}, "half_open: must be more than 0 and less than 1, not 1"),
        ({"engine": "tensorrt"}, "engine: must be torch or onnx, not 'tensorrt'"),
        ({"skip": "never"}, "skip: must be a number or auto or none, not 'never'"),
        ({"skip": -1}, "skip: must be at least 0 or auto or none, not -1"),
        ({"count": 1.5}, "count: must be a whole number, not 1.5"),
        ({"maybe": 3}, "maybe: must be keys and values, not 3"),
        ({"steps": [{}, {"overlop": 1}]}, "unknown key 'steps.1.overlop'. Did you mean 'overlap'? "),
        ({"by_name": {"a": {"overlop": 1}}}, "unknown key 'by_name.a.overlop'. Did you mean 'overlap'? "),
        ({"maybe": {"overlop": 1}}, "unknown key 'maybe.overlop'. Did you mean 'overlap'? Known keys there: overlap."),
        ({"maybe": {"overlap": "much"}}, "maybe.overlap: must be a number, not 'much'"),
        ({"zzz": 1}, "unknown key 'zzz'. Known keys there: steps, by_name, "),
    ],
)
def test_a_wrong_value_is_named_at_any_depth_in_plain_words(values, message):
    with pytest.raises(ConfigError) as caught:
        build(Deep, values, where="mine.yaml")
    assert str(caught.value).startswith(f"mine.yaml: {message}")
    assert "Input should" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("overlap=2", "--set overlap=2: must be between 0 and 0.9"),
        (
            "maybe.overlop=1",
            "--set maybe.overlop=1: unknown key 'overlop'. Did you mean 'overlap'? Known keys there: overlap.",
        ),
        ("mabye.overlap=1", "--set mabye.overlap=1: unknown key 'mabye'. Did you mean 'maybe'? Known keys there: "),
        ("maybe={overlap: much}", "--set maybe={overlap: much}: overlap: must be a number"),
    ],
)
def test_an_override_that_is_wrong_is_named_as_it_was_typed(override, message):
    with pytest.raises(ConfigError) as caught:
        build(Deep, apply_overrides({"maybe": {"overlap": 0.5}}, [override]), where="mine.yaml")
    assert str(caught.value).startswith(message)


def test_an_unknown_key_is_named_before_the_one_it_was_meant_for():
    class Named(BaseModel):
        model_config = ConfigDict(extra="forbid")
        model: str

    with pytest.raises(ConfigError, match=r"^--set modell=x: unknown key 'modell'\. Did you mean 'model'"):
        build(Named, apply_overrides({}, ["modell=x"]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            apply_overrides({}, ["preview=3"]),
            "--set preview=3: must be keys and values. Write --set preview.NAME=VALUE.",
        ),
        ({"preview": 0}, "mine.yaml: preview: must be keys and values, not 0. Write preview: {NAME: VALUE}."),
    ],
)
def test_a_value_in_the_place_of_keys_is_named(values, message):
    with pytest.raises(ConfigError) as caught:
        under(values, "preview", where="mine.yaml")
    assert str(caught.value) == message
    assert under({"preview": None}, "preview") == {}


def test_an_override_is_still_named_after_values_were_joined():
    joined = merged({"count": 3, "maybe": {"overlap": 0.1}}, without_null(apply_overrides({}, ["maybe.overlop=1"])))
    with pytest.raises(ConfigError, match=r"^--set maybe\.overlop=1: unknown key 'overlop'"):
        build(Deep, joined)
    assert yaml.safe_load(yaml.safe_dump(joined)) == joined
