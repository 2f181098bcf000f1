"""One epoch of ``experiments/cifar100.py`` as a whole process, and the same epoch elsewhere.

    python benchmarks/whole_epoch.py --data-dir DIR [--interpreter PYTHON]

It measures wall time, processor time and peak memory of minidl, with both networks side by side
and one after the other, and of Keras and PyTorch, one after the other, with float32 data sets as
their users have them. Each epoch of each network is followed by the test images and the gradients
of 64 images. Every process is a new one, minidl's in an empty folder, and must report as many steps
as an epoch has, and losses close to minidl's. It also measures how long ``import minidl`` takes in
addition to importing NumPy.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minidl.study import RunFolder, text_table
from minidl.study.environment import hardware, today

HERE = Path(__file__).parent
EXPERIMENT = HERE.parent / "experiments" / "cifar100.py"
IMPORT = (
    "import time, numpy; t = time.perf_counter(); import minidl; print(time.perf_counter() - t)"
)
STEPS = math.ceil(50_000 / 64)  # per epoch
# Relative, on the mean loss of the epoch. Each library draws weights and batches in its own way; a
# network that learns nothing stays at log 100, 5% above the loss of sigmoid and 13% above ReLU's.
TOLERANCE = 0.03

Figures = dict[str, float]
Work = Mapping[str, Mapping[str, float]]  # by activation: "steps" and mean "loss" of the epoch


class Failed(Exception):
    """A process ended with an error; this is its text."""


def measure(command: list[str]) -> tuple[Figures, str]:
    """The system's resource usage of the finished process, and its last line of output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(_last_line(err) or f"status {process.returncode}")
        figures = {
            "wall_s": seconds,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss * 1024 / 1e6,
        }
        return figures, _last_line(out)


def _last_line(file: Any) -> str:
    file.seek(0)
    lines = file.read().decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "")


def measure_experiment(*options: str) -> tuple[Figures, Work]:
    """The experiment in a new folder, without an earlier run that it could resume."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(EXPERIMENT), "--quiet", "--output-dir", folder, *options]
        figures, _ = measure(command)
        return figures, work_in(Path(folder))


def work_in(folder: Path) -> Work:
    """What the experiment trained, according to its folder; all of it must be from this start."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if summary["done_before"]:
        raise Failed(f"{summary['done_before']} networks were trained by an earlier start")
    each = math.ceil(summary["train_images"] / summary["batch_size"])
    return {
        name: {"steps": each * len(of["train_loss"]), "loss": of["train_loss"][-1]}
        for name, of in summary["networks"].items()
    }


def measure_peer(interpreter: str, script: str, data: str) -> tuple[Figures, Work]:
    """Measure a script of this folder, which prints what it did as JSON."""
    figures, line = measure([interpreter, str(HERE / script), data])
    return figures, json.loads(line)


def check_work(name: str, work: Work, ours: Work) -> None:
    """Raise unless both networks were trained for one epoch, with a loss close to minidl's."""
    if set(work) != {"sigmoid", "relu"}:
        raise RuntimeError(f"{name}: expected networks of sigmoid and relu, got {sorted(work)}")
    for activation, did in work.items():
        loss = ours[activation]["loss"]
        if did["steps"] != STEPS or not abs(did["loss"] - loss) <= TOLERANCE * loss:
            raise RuntimeError(
                f"{name}, {activation}: expected {STEPS} steps and a mean loss within "
                f"{TOLERANCE:.0%} of {loss:.3f}, got {did['steps']} and {did['loss']:.3f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with CIFAR-100")
    parser.add_argument("--interpreter", default=sys.executable, help="for Keras and PyTorch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output-dir", type=Path, default=Path("runs/benchmark"))
    chosen = parser.parse_args()
    folder = RunFolder(chosen.output_dir, "benchmark")
    data = str(chosen.data_dir)
    ours = functools.partial(
        *(measure_experiment, "--epochs", "1", "--dataset", "cifar-100", "--data-dir", data)
    )
    measured = {
        "minidl, side by side": functools.partial(ours, "--jobs", "2"),
        "minidl, one by one": functools.partial(ours, "--jobs", "1"),
        "PyTorch": functools.partial(measure_peer, chosen.interpreter, "epoch_in_torch.py", data),
        "Keras": functools.partial(measure_peer, chosen.interpreter, "epoch_in_keras.py", data),
    }
    found: dict[str, list[Figures]] = {}
    works: dict[str, Work] = {}
    for number in range(chosen.rounds + 1):  # the first one warms the disk cache
        for name in list(measured):
            try:
                figures, works[name] = measured[name]()
            except Failed as error:
                if name.startswith("minidl"):
                    raise
                print(f"not measured: {name} ({error})")
                del measured[name]
                continue
            check_work(name, works[name], works["minidl, side by side"])
            if number > 0:
                found.setdefault(name, []).append(figures)
    medians = {
        name: {key: float(np.median([r[key] for r in runs])) for key in runs[0]}
        for name, runs in found.items()
    }
    rows = [
        [name, *(f"{m[key]:.1f}" for key in ("wall_s", "cpu_s", "peak_mb"))]
        for name, m in medians.items()
    ]
    imports = [
        float(
            subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True).stdout
        )
        for _ in range(7)
    ]
    text = text_table(["one epoch, two networks", "wall s", "processor s", "peak MB"], rows)
    text += f"\n\nimport minidl beyond NumPy: {np.median(imports):.3f} s\n"
    print(f"{hardware()}, {today()}, medians of {chosen.rounds}\n\n{text}")
    folder.write_text("whole_epoch.txt", text)
    everything = {"hardware": hardware(), "date": today(), "runs": found, "import_s": imports}
    folder.write_json("whole_epoch.json", everything | {"work": works})


if __name__ == "__main__":
    main()
