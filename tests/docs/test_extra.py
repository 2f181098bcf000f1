"""The extra that the guide installs provides what the tests named there import."""

import ast
import configparser
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs" / "guide").glob("*.md")), ROOT / "docs" / "own_layer.md"]
NAMED = sorted(
    {name for page in PAGES for name in re.findall(r"tests/[\w/]+\.py", page.read_text())}
)
SUPPORT = {path.stem for folder in ("tests", "tools") for path in (ROOT / folder).rglob("*.py")}


def _names(requirements: str) -> set[str]:
    return {re.split(r"[<>=;\[ ]", line)[0] for line in requirements.split("\n") if line}


@pytest.mark.parametrize("name", ["tests/conftest.py", *NAMED])
def test_the_extra_provides_what_a_test_of_the_guide_imports(name):
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    known = _names(config["options"]["install_requires"])
    known |= _names(config["options.extras_require"]["test"])
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {
        node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module
    }
    roots = {module.partition(".")[0] for module in imported}
    assert (
        roots - known - SUPPORT - {"minidl", "__future__"} - set(sys.stdlib_module_names) == set()
    )
