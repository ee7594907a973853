from pathlib import Path

import pytest
from small_nifti import phantom, save

import medseg
from medseg.cli.app import run
from medseg.config.safe_json import parse_json
from medseg.engine.journal import current

HOSTILE = {
    "nested": "[" * 200_000,
    "nested and closed": '{"labels":' * 100_000 + "1" + "}" * 100_000,
    "number of 5,000 digits": '{"labels": ' + "9" * 5_000 + "}",
    "cut": '{"labels": {"0"',
    "text": "labels",
    "empty": "",
    "half a character": '{"labels": "\\ud800"}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_json_from_anywhere_is_read_or_refused_with_a_sentence(tmp_path, capsys, text):
    data, task, results = tmp_path / "data", tmp_path / "in", tmp_path / "results"
    for folder in (data / "imagesTr", data / "labelsTr", task, results / "a"):
        folder.mkdir(parents=True)
    for place in (data / "dataset.json", task / "task.json", results / "run.json", results / "a" / "status.json"):
        place.write_text(text)
    save(data / "labelsTr" / "a.nii.gz", phantom())
    labels = str(data / "labelsTr")
    assert run(["audit", str(data)]) in (2, 4)
    assert run(["mercure", str(task), "--out", str(tmp_path / "o")]) in (2, 4)
    assert run(["monitor", str(results), "--out", str(tmp_path / "m")]) in (0, 2, 4)
    assert run(["evaluate", labels, labels, "--out", str(tmp_path / "e")]) in (0, 2, 3, 4)
    assert "bug" not in capsys.readouterr().err
    assert current(results / "a", "x") is None


def test_json_is_read_in_one_place():
    """No other module loads JSON."""
    root = Path(medseg.__file__).parent
    readers = [p.name for p in root.rglob("*.py") if any(w in p.read_text() for w in ("json.loads(", "json.load("))]
    assert readers == ["safe_json.py"]
    with pytest.raises(ValueError, match="nested"):
        parse_json("[" * 200_000)
    for text in ('{"a": ["\\uD800"]}', b'{"a": "\xed\xa0\x80"}'):
        with pytest.raises(ValueError, match=r"surrogate|can't decode"):
            parse_json(text)
    assert parse_json('"\\ud83d\\ude00"') == parse_json('"\N{GRINNING FACE}"'.encode("utf-16"))
