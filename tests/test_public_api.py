"""What users may rely on by name, and that each of it is documented, typed and quick to import."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import medseg
from medseg.cli.verb import VERBS
from medseg.config.named_arguments import OTHERWISE
from medseg.review.call_types import ReviewPackage

NAMES = {
    "verbs": {
        "audit",
        "bundle",
        "compare",
        "convert",
        "crop",
        "evaluate",
        "export",
        "follow",
        "inspect",
        "label_next",
        "monitor",
        "plan",
        "predict",
        "report",
        "train",
    },
    "packages": {"review"},
    "functions": {"load_model", "load_scan", "read_any_labels", "read_labels", "segment"},
    "types": {"Evaluation", "Geometry", "LabelMap", "Model", "OverlappingLabels", "Prediction", "Scan"},
    "errors": {
        "ConfigError",
        "FormatLimitation",
        "GeometryMismatch",
        "InputError",
        "Interrupted",
        "MedsegError",
        "MissingDependency",
        "ModelError",
        "NotForThisModel",
        "PipelineError",
        "ResourceLimit",
        "UsageError",
    },
}


def test_the_list_of_public_names() -> None:
    assert set(medseg.__all__) == {"__version__"}.union(*NAMES.values())
    assert dir(medseg) == sorted(medseg.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        medseg.nonsense  # noqa: B018


@pytest.mark.parametrize("name", sorted(set(medseg.__all__) - {"__version__"} - NAMES["packages"]))
def test_each_is_documented(name: str) -> None:
    thing = getattr(medseg, name)
    text = inspect.getdoc(thing) or ""
    first = text.partition("\n")[0]
    assert first.endswith("."), name
    assert name in NAMES["errors"] or "Parameters\n----------" in text, name
    if inspect.isfunction(thing):
        documented = set(re.findall(r"^(\w+(?:, \w+)*) : ", text.partition("Returns\n")[0], re.MULTILINE))
        assert {word for words in documented for word in words.split(", ")} == set(inspect.signature(thing).parameters)
        assert "Returns\n-------" in text, name
        assert "Raises\n------" in text, name


@pytest.mark.parametrize("name", medseg.review.__all__)
def test_functions_of_the_review_are_documented_and_typed(name: str) -> None:
    function = getattr(medseg.review, name)
    text = inspect.getdoc(function) or ""
    documented = set(re.findall(r"^(\w+(?:, \w+)*) : ", text.partition("Returns\n")[0], re.MULTILINE))
    assert {word for words in documented for word in words.split(", ")} == set(inspect.signature(function).parameters)
    assert "Raises\n------" in text, name
    hints = typing.get_type_hints(function)
    assert typing.Any not in hints.values()
    assert hints["return"] is not typing.Any


def test_the_package_of_the_review_is_called_as_the_verb(tmp_path: Path) -> None:
    assert inspect.signature(medseg.review) == inspect.signature(medseg.review.review)
    with pytest.raises(medseg.UsageError, match="is-not-there"):
        medseg.review(tmp_path / "is-not-there")
    with pytest.raises(TypeError, match="Did you mean 'reviewer'"):
        medseg.review(tmp_path, reviewr="A")
    typed = {name: getattr(ReviewPackage, name) for name in vars(ReviewPackage) if not name.startswith("_")}
    assert typed == {name: getattr(medseg.review, name) for name in medseg.review.__all__}
    assert ReviewPackage().__call__ is medseg.review.review


def test_reviewing_takes_the_options_of_the_command_line() -> None:
    from medseg.cli.review import results

    options = {typed_name(one) for one in inspect.signature(results, eval_str=True).parameters.values()}
    printed = PRINTED | {"more_scans", "quiet", "verbose", "debug"}
    assert options - printed <= set(inspect.signature(medseg.review.review).parameters)


@pytest.mark.parametrize("name", sorted(NAMES["verbs"] | NAMES["functions"]))
def test_signatures_are_real_and_say_every_type(name: str) -> None:
    function = getattr(medseg, name)
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    assert kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    hints = typing.get_type_hints(function)
    assert hints["return"] is not typing.Any
    assert typing.Any not in hints.values()


@pytest.mark.parametrize("name", sorted(NAMES["verbs"]))
def test_options_have_the_names_of_the_command_line(name: str) -> None:
    module = next(verbs[typed] for verbs in VERBS.values() if (typed := name.replace("_", "-")) in verbs)
    verb = getattr(importlib.import_module(f"medseg.cli.{module}"), name)
    parameters = inspect.signature(verb, eval_str=True).parameters.values()
    options = {typed_name(parameter) for parameter in parameters if parameter.name not in PRINTED}
    assert options <= set(inspect.signature(getattr(medseg, name)).parameters)


def typed_name(parameter: inspect.Parameter) -> str:
    """Name of an argument, or of an option as it is typed."""
    option = parameter.annotation.__metadata__[0]
    declared = [name for name in (option.default, *(option.param_decls or ())) if isinstance(name, str)]
    typed = next((name[2:].replace("-", "_") for name in declared if name.startswith("--")), parameter.name)
    return OTHERWISE.get(typed, typed)


# What a verb prints, and how, is no matter of the function.
PRINTED = {"json", "thumbnails"}


@pytest.mark.parametrize(("option", "argument"), OTHERWISE.items())
def test_where_an_argument_has_another_name_than_its_option(option: str, argument: str) -> None:
    """The documentation names the option, and whoever gives the option's name is told the argument's."""
    functions = [getattr(medseg, name) for name in sorted(NAMES["verbs"])]
    having = [one for one in functions if argument in inspect.signature(one).parameters]
    assert having
    for function in having:
        parts = re.split(r"^(\w+(?:, \w+)*) : ", inspect.getdoc(function) or "", flags=re.MULTILINE)
        described = next(text for names, text in zip(parts[1::2], parts[2::2], strict=True) if argument in names)
        assert f"--{option}" in described, f"{function.__name__}: {argument}"
        needed = {key for key, one in inspect.signature(function).parameters.items() if one.default is one.empty}
        with pytest.raises(TypeError, match=f"Did you mean '{argument}'"):
            function(**dict.fromkeys(needed, "x"), **{option: "x"})


USE = """
import medseg
from typing import reveal_type
model = medseg.load_model("hippocampus", device="cpu")
prediction = model.segment("scan.nii.gz")
reveal_type(model)
reveal_type(prediction)
reveal_type(prediction.labels)
reveal_type(prediction.volumes)
reveal_type(prediction.review_priority)
reveal_type(medseg.predict("in", "hippocampus", "out"))
reveal_type(medseg.report("out"))
reveal_type(medseg.inspect("in"))
reveal_type(medseg.convert("in", "out"))
reveal_type(medseg.crop("in.nii.gz", (0.0, 0.0, 0.0), "out.nii.gz"))
reveal_type(medseg.audit("dataset"))
reveal_type(medseg.plan("dataset"))
reveal_type(medseg.train("dataset", "out"))
reveal_type(medseg.label_next("dataset", "model"))
reveal_type(medseg.evaluate("a", "b", "out"))
reveal_type(medseg.compare(["a", "b"]))
reveal_type(medseg.export("labels.nii.gz", "out", format=["nifti"]))
reveal_type(medseg.follow("a", "b", "out"))
reveal_type(medseg.monitor("a", "out"))
reveal_type(medseg.review.open("out"))
reveal_type(medseg.review.open("out").corrections())
reveal_type(medseg.review.review("out"))
reveal_type(medseg.review("out", scans="scans"))
reveal_type(medseg.review)
medseg.review("out", readers=1)
medseg.nonsense
"""


@pytest.mark.slow
def test_mypy_sees_no_any_in_three_lines_of_a_user(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(USE)
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent", "use.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    revealed = re.findall(r'Revealed type is "(.*)"', found)
    assert len(revealed) == USE.count("reveal_type(")
    assert not [kind for kind in revealed if "Any" in kind], revealed
    assert 'Module has no attribute "nonsense"' in found
    assert 'Unexpected keyword argument "readers"' in found
    assert found.count("error:") == 2, found
