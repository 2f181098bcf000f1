"""The extra that the guide installs provides what the tests named there import."""

import ast
import configparser
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs" / "guide").glob("*.md")), ROOT / "docs" / "own_layer.md"]
NAMED = sorted(
    {name for page in PAGES for name in re.findall(r"tests/[\w/]+\.py", page.read_text())}
)
SUPPORT = {path.stem for folder in ("tests", "tools") for path in (ROOT / folder).rglob("*.py")}


def _names(requirements: str) -> set[str]:
    return {re.split(r"[<>=;\[ ]", line)[0] for line in requirements.split("\n") if line}


def test_the_extra_provides_what_the_tests_of_the_guide_import():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    known = _names(config["options"]["install_requires"])
    known |= _names(config["options.extras_require"]["test"])
    known |= SUPPORT | {"minidl", "__future__"} | set(sys.stdlib_module_names)
    for name in ("tests/conftest.py", *NAMED):
        imported: set[str] = set()
        for node in ast.parse((ROOT / name).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
        assert {module.partition(".")[0] for module in imported} <= known, name
