"""minidl's CUDA kernels, compiled with this machine's C++ compiler to run without a GPU.

Some kernels are written as CUDA, the others are generated from the loops.  The body of an
``ElementwiseKernel`` is plain C++.  Here it gets a plain loop around it, so that the tests run the
very text that CuPy would compile.  They can show that the text is right, but not how a GPU runs
it.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import itertools
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minidl import optimizers
from minidl.gpu import kernels

LOOPS = {  # every rule that is decorated with @kernel
    name: value.__wrapped__
    for module in (optimizers.adam, optimizers.rmsprop, optimizers.sgd)
    for name, value in vars(module).items()
    if hasattr(value, "__wrapped__") and inspect.getsource(value).startswith("@kernel")
}
KERNELS = kernels.KERNELS | {name: kernels.kernel_of(text) for name, text in LOOPS.items()}

COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
C_TYPES = {
    "float32": "float",
    "float64": "double",
    "bool": "bool",
    "uint8": "unsigned char",
    "int32": "int",
    "int64": "long long",
}
# The possible types for a type letter.
LETTERS = {
    "T": ("float32", "float64"),
    "S": ("uint8", "float32", "float64"),
    "L": ("uint8", "int32", "int64"),
    "V": ("int64", "float32", "float64"),
}


def parameters(text: str) -> list[tuple[bool, str, str]]:
    """``"raw T x, T y"`` as (raw, type, name) for each."""
    parts = [part.split() for part in text.split(",")]
    return [(part[0] == "raw", part[-2], part[-1]) for part in parts]


def symbol(name: str, types: dict[str, str]) -> str:
    return "_".join([name.replace(".", "_"), *[types[letter] for letter in sorted(types)]])


def source(name: str, types: dict[str, str]) -> str:
    """The kernel as a C function: n, an array of pointers, an array of strides (0 or 1)."""
    reads, writes, body = KERNELS[name]
    lines = [f"typedef {C_TYPES[dtype]} {letter};" for letter, dtype in types.items()]
    inputs = parameters(reads)
    for k, (raw, kind, variable) in enumerate(inputs + parameters(writes)):
        const = "const " if k < len(inputs) else ""
        kind = C_TYPES.get(kind, kind)
        if raw:
            lines.append(f"{const}{kind} *{variable} = ({kind} *)_p[{k}];")
        else:
            body = f"{const}{kind} &{variable} = (({kind} *)_p[{k}])[i * _s[{k}]];\n{body}"
    top = "\n".join(lines)
    loop = f"for (long long i = 0; i < n; ++i) {{\n{body}\n}}"
    head = f'extern "C" void {symbol(name, types)}(long long n, void **_p, long long *_s)'
    return f"{head} {{\n{top}\n{loop}\n}}\n"


def all_sources() -> str:
    text = "#include <cmath>\nusing namespace std;\n"
    for name, (reads, writes, _) in KERNELS.items():
        used = {kind for _, kind, _ in parameters(f"{reads}, {writes}")} & set(LETTERS)
        letters = sorted(used)
        for dtypes in itertools.product(*[LETTERS[letter] for letter in letters]):
            text += source(name, dict(zip(letters, dtypes, strict=True)))
    return text


@cache
def library() -> ctypes.CDLL:
    """All kernels in all types, compiled once for each version of their text."""
    assert COMPILER is not None
    text = all_sources()
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    path = Path(tempfile.gettempdir()) / f"minidl-host-kernels-{os.getuid()}-{digest}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / "kernels.so"
            options = [
                "-O1",
                "-ffp-contract=off",
                "-Wall",
                "-Werror",
                "-Wno-unused-variable",
                "-fPIC",
                "-shared",
            ]
            subprocess.run(
                [COMPILER, *options, "-x", "c++", "-", "-o", str(made)],
                input=text,
                text=True,
                check=True,
            )
            made.replace(path)
    return ctypes.CDLL(str(path))


def run(name: str, arguments: tuple[Any, ...]) -> None:
    """Run a kernel on NumPy arrays and numbers as CuPy runs it on its own."""
    reads, writes, _ = KERNELS[name]
    inputs = parameters(reads)
    given = inputs + parameters(writes)
    if len(arguments) != len(given):
        raise TypeError(f"Wrong number of arguments for minidl_{name}")
    types: dict[str, str] = {}
    for (_, kind, _), value in zip(given, arguments, strict=True):
        named = value.dtype.name if isinstance(value, np.ndarray) else None
        if kind in LETTERS and named and types.setdefault(kind, named) != named:
            raise TypeError(f"Type is mismatched. {kind} {types[kind]} {named}")
    looped = [v for (raw, *_), v in zip(given, arguments, strict=True) if not raw]
    shape = np.broadcast_shapes(*[np.shape(value) for value in looped])
    pointers, strides, kept, copies = [], [], [], []
    for k, ((raw, kind, variable), value) in enumerate(zip(given, arguments, strict=True)):
        dtype = np.dtype(types.get(kind, kind))
        array = np.asarray(value)
        if isinstance(value, np.ndarray) and array.dtype != dtype:
            raise TypeError(f"{variable}: expected {dtype}, got {array.dtype}")
        output = k >= len(inputs)
        if output and not (array.flags.c_contiguous if raw else array.shape == shape):
            raise ValueError(f"{variable}: a raw output not contiguous, or one that is broadcast")
        array = array.astype(dtype, copy=False)
        if not raw and array.size > 1:
            array = np.broadcast_to(array, shape)
        array = np.ascontiguousarray(array)
        if output and array is not value:  # half of an array, for example: copied back below
            copies.append((value, array))
        kept.append(array)
        pointers.append(array.ctypes.data)
        strides.append(0 if array.size == 1 else 1)
    n = int(np.prod(shape))
    function = getattr(library(), symbol(name, types))
    function(
        ctypes.c_longlong(n),
        (ctypes.c_void_p * len(pointers))(*pointers),
        (ctypes.c_longlong * len(strides))(*strides),
    )
    for value, array in copies:
        value[...] = array
