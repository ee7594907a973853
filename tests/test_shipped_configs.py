"""Every shipped configuration begins with a command, whose data a user can make or fetch."""

from __future__ import annotations

import pytest

from medseg import resources

CONFIGS = resources.shipped("configs")


@pytest.mark.parametrize("name", CONFIGS)
def test_it_begins_with_a_command_and_names_no_folder_that_a_clone_lacks(name: str) -> None:
    lines = CONFIGS[name].read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# medseg ")
    of_the_command = lines[0].partition(" --config ")[0].split()[-1]
    assert of_the_command in ("DATASET", "SCANS")
    assert f"--config {name} " in lines[0]
