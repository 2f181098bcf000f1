"""Imports run downwards only, and heavy ones wait until they are needed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import minidl

PACKAGE = Path(minidl.__file__).parent

# What each module of the engine may import of minidl: nothing that is not named here.
MAY_IMPORT = {
    "machine": set(),
    "backend": {"machine"},
    "checks": {"backend"},
    "files": set(),
    "printable": set(),
    "output": set(),
    "npz": {"files"},
    "sealed": {"backend", "files"},
    "parallel": set(),
    "software": {"printable"},
    "progress": set(),
    "pages.parts": set(),
    "pages.chart": {"pages.parts"},
    "pages.page": {"pages.parts"},
    "pages": {"pages.chart", "pages.page", "pages.parts"},
    "initializers": set(),
    "schedules": set(),
    "kernels": {"backend"},
    "activations.base": {"backend", "kernels"},
    "activations.saturating": {"activations.base", "backend"},
    "activations.rectifiers": {"activations.base", "activations.saturating", "backend"},
    "activations.softmax": {"activations.base", "backend"},
    "activations": {
        *("activations.base", "activations.saturating", "activations.rectifiers"),
        "activations.softmax",
    },
    "layers.base": {"backend"},
    "layers.images": {"backend", "layers.base"},
    "layers.affine": {"activations", "backend", "initializers", "layers.base"},
    "layers.dense": {"activations", "backend", "initializers", "layers.affine"},
    "layers.dropout": {"backend", "layers.base", "layers.images"},
    "layers.flatten": {"backend", "layers.base"},
    "layers.activate": {"activations", "backend", "layers.base", "layers.images"},
    "layers.glu": {"activations", "backend", "layers.base", "layers.images"},
    "layers.channelwise": {"backend", "layers.base"},
    "layers.batch_norm": {"backend", "layers.channelwise", "layers.images"},
    "layers.prelu": {"backend", "layers.channelwise", "layers.images"},
    "layers.apl": {"backend", "layers.channelwise", "layers.images"},
    "layers.chain": {"backend", "layers.base"},
    "layers.residual": {"backend", "layers.base", "layers.chain", "layers.images"},
    "layers.windows": {"backend", "layers.base", "layers.images"},
    "layers.conv2d": {
        *("activations", "backend", "initializers"),
        *("layers.affine", "layers.images", "layers.windows"),
    },
    "layers.pool2d": {"backend", "layers.base", "layers.images", "layers.windows"},
    "layers.max_pool": {"backend", "layers.images", "layers.pool2d", "layers.windows"},
    "layers.average_pool": {
        *("backend", "layers.base", "layers.images", "layers.pool2d", "layers.windows")
    },
    "layers": {
        *("layers.base", "layers.dense", "layers.dropout", "layers.flatten"),
        *("layers.activate", "layers.glu", "layers.batch_norm", "layers.prelu", "layers.apl"),
        *("layers.chain", "layers.residual"),
        *("layers.conv2d", "layers.max_pool", "layers.average_pool"),
    },
    "examples": {"backend", "kernels"},
    "augmentation": {"backend"},
    "losses": {"activations", "backend", "kernels"},
    "optimizers": {"backend", "kernels", "parallel"},
    "network": {
        *("backend", "files", "layers", "layers.base", "layers.chain", "npz", "printable"),
    },
    "early_stopping": {"backend", "network"},
    "metrics": {"backend", "examples", "network"},
    "inspection": {"activations", "backend", "examples", "losses", "network"},
    "gradcheck.result": set(),
    "gradcheck.point": {"backend"},
    "gradcheck.subjects": {"backend", "gradcheck.point", "layers"},
    "gradcheck.numeric": {"backend", "gradcheck.subjects"},
    "gradcheck.ties": {"backend", "gradcheck.numeric", "gradcheck.subjects"},
    "gradcheck.judge": {
        *("backend", "gradcheck.numeric", "gradcheck.result", "gradcheck.subjects"),
    },
    "gradcheck.check": {
        *("activations", "backend", "layers", "gradcheck.judge", "gradcheck.point"),
        *("gradcheck.result", "gradcheck.subjects", "gradcheck.ties"),
    },
    "gradcheck": {"gradcheck.check", "gradcheck.result"},
    "graph": {"backend"},
    "memory": {"backend", "examples", "network", "optimizers"},
    "step": {
        *("backend", "examples", "graph", "inspection", "kernels", "losses", "memory", "network"),
        "optimizers",
    },
    "microscope.backward_signal": {"backend", "layers", "layers.affine", "network"},
    "microscope.look": {
        *("backend", "layers", "layers.affine", "losses", "microscope.backward_signal"),
        "network",
    },
    "microscope.look_file": {
        *("backend", "files", "losses", "microscope.backward_signal", "microscope.look"),
        *("network", "npz"),
    },
    "microscope.walkthrough": {"activations", "layers", "losses", "network", "optimizers"},
    "microscope.run": {"microscope.look", "microscope.look_file", "printable"},
    "microscope.parts": {
        *("microscope.backward_signal", "microscope.look", "microscope.run"),
        *("microscope.walkthrough", "pages"),
    },
    "microscope.page": {
        *("microscope.backward_signal", "microscope.parts", "microscope.run", "pages"),
        "printable",
    },
    "microscope.server": {"microscope.look_file"},
    "microscope.__main__": {
        *("files", "microscope.look_file", "microscope.page", "microscope.server", "output")
    },
    "microscope": set(),
    "checkpoint": {"backend", "printable", "sealed", "software", "step"},
    "training": {
        *("backend", "checkpoint", "examples", "losses", "network", "optimizers", "progress"),
        "step",
    },
}
# Arguments are checked where they enter, so this one may be imported by all above it.
EVERYWHERE = {"checks"}
# Of the rest: the part of the engine that must not know it.
UPPER = ("datasets", "reporting", "recording", "cells", "training")
HEAVY = {"cupy", "cupyx", "matplotlib", "requests", "tqdm", "scipy", "torch"}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path, everywhere: bool = True) -> set[str]:
    """The modules that a file imports; those at its top only, if not ``everywhere``."""
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


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_the_engine_imports_downwards_only(module):
    assert within(imports(modules()[module])) <= MAY_IMPORT[module] | EVERYWHERE


def test_the_table_is_itself_in_order():
    seen: set[str] = set()
    for module, allowed in MAY_IMPORT.items():
        assert allowed <= seen, module
        seen.add(module)


def test_every_module_of_the_engine_is_in_the_table():
    engine = {m for m in modules() if m and m.split(".")[0] not in UPPER[:4]}
    assert engine == set(MAY_IMPORT)


def test_nothing_imports_experiments_benchmarks_or_tests():
    for path in modules().values():
        roots = {name.partition(".")[0] for name in imports(path)}
        assert not roots & {"experiments", "benchmarks", "tests"}, path.name


def test_reporting_is_on_top_and_data_sets_know_no_network():
    for module, path in modules().items():
        used = {name.split(".")[0] for name in within(imports(path))}
        if module.split(".")[0] != "reporting":
            assert "reporting" not in used, module
        if module.split(".")[0] == "datasets":
            known = {"datasets", "examples", "files", "printable", "backend"}
            assert used <= known | EVERYWHERE, module


@pytest.mark.parametrize("module", MAY_IMPORT)
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
