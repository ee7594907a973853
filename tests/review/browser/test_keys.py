"""The keys that the documentation names are those the page has."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NAMES = {" ": "Space", "ArrowUp": "↑", "ArrowDown": "↓"}


def test_the_table_of_keys_is_the_pages_own():
    script = (ROOT / "medseg/review/page/keys.js").read_text(encoding="utf-8")
    page = (ROOT / "docs/how-to/correct-labels.md").read_text(encoding="utf-8")
    keys = re.findall(r"\['(.*?)', '(\w*)', '(.*?)'\]", script)
    assert len(keys) > 40
    expected = [f"| `{NAMES.get(key, key)}` | {meaning.replace('’', chr(39))} |" for key, _, meaning in keys]
    assert [line for line in page.splitlines() if line.startswith("| `")] == expected
    commands = (ROOT / "medseg/review/page/commands.js").read_text(encoding="utf-8")
    missing = [name for _, name, _ in keys if name and not re.search(rf"\b{name}(:|,)", commands)]
    assert not missing
