import json
import re
import runpy
from pathlib import Path

import pytest

from medseg.cli.app import run

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(("page", "name"), [("page", "configuration.md"), ("card_page", "model-card.md")])
def test_a_page_of_every_key_is_what_the_schemas_say(page, name):
    made = runpy.run_path(str(REFERENCE / "make_configuration.py"))[page]()
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert made == written, "Run: python docs/reference/make_configuration.py"


@pytest.mark.parametrize("name", ["configuration.md", "model-card.md"])
def test_every_key_says_what_it_means(name):
    rows = re.findall(r"^\| `(.+?)` \|.*\|(.*)\|$", (REFERENCE / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 70
    assert [key for key, meaning in rows if not meaning.strip()] == []


@pytest.mark.parametrize(
    ("name", "key"), [("train", "optimizer"), ("predict", "segment"), ("evaluate", "objects"), ("node", "rules")]
)
def test_every_configuration_has_a_schema(name, key, capsys):
    assert run(["schema", name]) == 0
    found = json.loads(capsys.readouterr().out)
    assert key in found["properties"]
    assert found["additionalProperties"] is False


def test_a_schema_of_nothing_is_exit_code_2(capsys):
    assert run(["schema", "nothing"]) == 2
    assert (
        "there is no schema called 'nothing'. Use one of: predict, train, evaluate, batch-segmentation;"
        in capsys.readouterr().err
    )
