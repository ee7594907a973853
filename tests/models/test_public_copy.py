import pytest

from medseg.evaluation.files.trained_cases import _known_as
from medseg.io.files.patient_names import hidden_name
from medseg.models.public_copy import public_command
from medseg.tracking.client import is_remote


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("medseg train /data/Doe^Jane --out=/runs/x --epochs=3", "medseg train DATASET --out=OUT --epochs=3"),
        ("/usr/bin/medseg train set -o out --from hippocampus", "medseg train DATASET -o OUT --from hippocampus"),
        ("medseg train 'a b' --config=c/mine.yaml --set=seed=1", "medseg train DATASET --config=CONFIG --set=seed=1"),
        ("medseg train x --from runs/jane/model --out y", "medseg train DATASET --from FROM --out OUT"),
        ("medseg train x --set low_resolution_stage=/a/b", "medseg train DATASET --set SET"),
        ("not 'closed", "medseg"),
        ("", ""),
    ],
)
def test_no_path_is_left_of_a_command(command, shown):
    assert public_command(command) == shown


def test_a_hidden_case_is_still_recognized():
    assert hidden_name("patient7") in _known_as("patient7")
    assert hidden_name("patient7") != hidden_name("patient8")


@pytest.mark.parametrize(
    ("uri", "remote"),
    [
        ("sqlite:////home/a/mlflow.db", False),
        ("file:///home/a/mlruns", False),
        ("/home/a/mlruns", False),
        ("http://127.0.0.1:5000", True),
        ("https://mlflow.example.org", True),
        ("postgresql://host/db", True),
        ("databricks", True),
    ],
)
def test_what_leaves_this_machine_is_remote(uri, remote):
    assert is_remote(uri) is remote
