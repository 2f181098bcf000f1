"""Imports run downwards, never in a circle; heavy modules are imported where they are needed."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import minidl

PACKAGE = Path(minidl.__file__).parent

# From the bottom up: a module, or a package as a whole, imports what comes before it, and itself.
ORDER = (
    *(
        "_version",
        "_printable",
        "_renamed",
        "backend",
        "storage",
        "_output",
        "kernel",
        "_rule_text",
        "pages",
    ),
    *("plots", "initializers", "activations", "layers", "data", "_target_hints", "losses"),
    *("optimizers", "_predict", "_summary", "network", "models", "metrics", "propagation"),
    *("inspection", "gradcheck", "training", "fast", "gpu", "data_parallel"),
    *("_deprecated", "microscope", "study", "compare", "run"),
)
LATE = {"fast.native", "fast.exponential"}  # themselves imported only where Numba is needed
HEAVY = {
    *("cupy", "cupyx", "dask", "distributed", "matplotlib", "mpi4py", "numba", "requests"),
    *("safetensors", "tqdm", "scipy", "torch"),
}


MODULES = {
    ".".join(
        part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"
    ): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
NAMES = {f"minidl.{name}" for name in MODULES}


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """The modules that these statements import."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in NAMES else str(node.module) for name in full}
    return names


def imports(text: str) -> tuple[set[str], set[str]]:
    """What a file imports at its top, and everywhere."""
    tree = ast.parse(text)
    return imported(iter(tree.body)), imported(ast.walk(tree))


@functools.cache
def all_imports() -> dict[str, tuple[set[str], set[str]]]:
    return {name: imports(path.read_text("utf-8")) for name, path in MODULES.items()}


def within(names: set[str]) -> set[str]:
    return {name.removeprefix("minidl.") for name in names if name.startswith("minidl.")}


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_imports_run_downwards_only():
    """Also those inside functions."""
    for module, (_, everywhere) in all_imports().items():
        if module:
            (unit,) = roots({module})
            below = set(ORDER[: ORDER.index(unit) + 1])
            assert roots(within(everywhere)) <= below, module


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules each of which imports all others of its group, if through others."""

    @functools.cache
    def reached(start: str) -> frozenset[str]:
        found: set[str] = set()
        new = {start}
        while new:
            new = set().union(*(imports[module] for module in new)) - found
            found |= new
        return frozenset(found)

    groups = {frozenset(m for m in reached(start) if start in reached(m)) for start in imports}
    return [set(group) for group in groups if group]


def test_no_modules_import_one_another():
    """Imports inside functions and those for types alone count."""
    graph = {
        module: within(everywhere) & MODULES.keys() - {module}
        for module, (_, everywhere) in all_imports().items()
        if module
    }
    assert circles(graph) == []


def test_nothing_imports_experiments_benchmarks_or_tests():
    for module, (_, everywhere) in all_imports().items():
        assert not roots(everywhere) & {"experiments", "benchmarks", "tests"}, module


def test_heavy_modules_are_imported_where_they_are_used():
    """data.answer is left out: it is itself imported only when a download starts."""
    engine = ORDER[: ORDER.index("microscope")]
    for module, (at_the_top, _) in all_imports().items():
        if roots({module}) & set(engine) and module not in {"data.answer", *LATE}:
            assert not roots(at_the_top) & HEAVY, module


def test_this_test_sees_imports():
    at_the_top, everywhere = imports(
        "import cupy.cuda\nfrom minidl import training\nfrom minidl.layers import Dense\n"
        "def f():\n    from minidl.layers import dense\n"
    )
    types = "if TYPE_CHECKING:\n    from minidl.study import Study\n"
    assert imports(types) == (set(), {"minidl.study"})
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]
    assert at_the_top == {"cupy.cuda", "minidl.training", "minidl.layers"}
    assert within(everywhere) == {"training", "layers", "layers.dense"}
