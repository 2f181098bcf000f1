"""Imports run downwards only, and heavy modules are imported only where they are needed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import minidl

PACKAGE = Path(minidl.__file__).parent

# From the bottom up: a module, or a package as a whole, imports what comes before it, and itself.
ORDER = (
    *("_moved", "_version", "_printable", "backend", "storage", "_output", "loops", "pages"),
    "initializers",
    *("activations", "layers", "data", "losses", "optimizers", "network", "matrix_decay"),
    *("models", "metrics", "propagation", "inspection", "gradcheck", "training", "gpu"),
    "data_parallel",
    *("microscope", "study", "compare", "run"),
)
# Imported inside functions, only for an array on a GPU, for ranks or for a critical point.
LAZILY = {
    "backend.fused": {"gpu"},
    "training.loop": {"data_parallel"},
    "training.range_test": {"gpu"},
    "initializers": {"propagation"},
}
LATE = {"backend.machine"}  # itself imported only where its heavy module is needed
HEAVY = {
    "cupy",
    "cupyx",
    "dask",
    "distributed",
    "matplotlib",
    "mpi4py",
    "numba",
    "requests",
    "safetensors",
    "tqdm",
    "scipy",
    "torch",
}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path, everywhere: bool = True) -> set[str]:
    """The modules that a file imports; only those at its top if not ``everywhere``."""
    tree = ast.parse(path.read_text("utf-8"))
    names = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            known = modules()
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = full.removeprefix("minidl.") in known and full.startswith("minidl.")
                names.add(full if is_module else str(node.module))
    return names


def within(names: set[str]) -> set[str]:
    return {name.removeprefix("minidl.") for name in names if name.startswith("minidl.")}


def unit(module: str) -> str:
    """The module itself, or the package that it belongs to."""
    return module.partition(".")[0]


@pytest.mark.parametrize("module", [name for name in modules() if name])
def test_imports_run_downwards_only(module):
    below = set(ORDER[: ORDER.index(unit(module)) + 1])
    path = modules()[module]
    assert {unit(name) for name in within(imports(path, everywhere=False))} <= below
    assert {unit(name) for name in within(imports(path))} <= below | LAZILY.get(module, set())


def test_nothing_imports_experiments_benchmarks_or_tests():
    for path in modules().values():
        roots = {name.partition(".")[0] for name in imports(path)}
        assert not roots & {"experiments", "benchmarks", "tests"}, path.name


# data.answer is left out: it is itself imported only when a download starts.
ENGINE = [m for m in modules() if unit(m) in ORDER[: ORDER.index("microscope")]]


@pytest.mark.parametrize("module", [m for m in ENGINE if m not in {"data.answer", *LATE}])
def test_heavy_modules_are_imported_where_they_are_used(module):
    roots = {name.partition(".")[0] for name in imports(modules()[module], everywhere=False)}
    assert not roots & HEAVY


def test_this_test_sees_imports(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "import cupy.cuda\nfrom minidl import training\nfrom minidl.layers import Dense\n"
        "def f():\n    from minidl.layers import dense\n"
    )
    inside = {"training", "layers", "layers.dense"}
    assert within(imports(path)) == inside
    assert imports(path, everywhere=False) == {"cupy.cuda", "minidl.training", "minidl.layers"}
