"""Everything that has never run on a GPU, in one command of less than ten minutes.

    python benchmarks/gpu_check.py [--data-dir DIR] [--interpreter PYTHON ...]

It runs the tests on the device, the full experiment with and without TF32, and a step of the
published network beside its peers. The output, status and time of each are written to a folder
named after the date, with a summary of what docs/gpu.md leaves open.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from minidl import Adam, Dense, Flatten, Network, SoftmaxCrossEntropy, get_device, train
from minidl.backend import Device, DeviceError, to_numpy
from minidl.data import load, standin
from minidl.study import RunFolder, markdown_table
from minidl.study.environment import hardware, today, versions

ROOT = Path(__file__).parents[1]
TESTS = (
    *("tests/test_gradients.py", "tests/test_golden.py", "tests/test_golden_layers.py"),
    *("tests/fast/test_kernel.py", "tests/test_optimizers.py", "tests/test_losses.py"),
    *("tests/gpu", "tests/backend", "tests/layers", "tests/training"),
)
SECONDS = 115  # for each of the five parts at most


def run(folder: RunFolder, name: str, command: list[str]) -> dict[str, Any]:
    """Run a command from the root of the repository and keep its output."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
        )
        status, printed = str(done.returncode), done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        status, printed = f"stopped after {SECONDS} s", str(error.stdout or "")
    folder.write_text(f"{name}.txt", printed)
    last = printed.strip().rpartition("\n")[2]
    print(f"{name}: status {status}, {last}", flush=True)
    return {"status": status, "seconds": time.perf_counter() - start, "last line": last}


def agreement(device: Device) -> dict[str, float]:
    """The relative differences between GPU and CPU after one epoch in float32."""
    data = standin.generate(train=4096, test=1).train
    found = []
    for where in (Device("cpu", "compared"), device):
        layers = [Flatten(), Dense(3072, 512, "relu"), Dense(512, 100)]
        network = Network(layers, (3, 32, 32), device=where)
        (epoch,) = train(network, data, SoftmaxCrossEntropy(), Adam(), epochs=1, progress=False)
        found.append((epoch.train_loss, to_numpy(network.theta)))
    (loss, theta), (loss_there, theta_there) = found
    return {
        "loss": abs(loss_there - loss) / loss,
        "θ": float(np.linalg.norm(theta_there - theta) / np.linalg.norm(theta)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data-dir", type=Path, help="folder with CIFAR-100 (default: use the stand-in)"
    )
    parser.add_argument("--interpreter", nargs="+", default=[sys.executable], metavar="PYTHON")
    parser.add_argument("--output-dir", type=Path, default=Path("runs/gpu_check"))
    chosen = parser.parse_args()
    try:
        device = get_device("cuda")
    except DeviceError as error:
        sys.exit(f"gpu_check: {error}")
    folder = RunFolder(chosen.output_dir / today(), "gpu_check")
    data = ["--data-dir", str(chosen.data_dir)] if chosen.data_dir else ["--dataset", "stand-in"]
    if chosen.data_dir:
        load("cifar-100", chosen.data_dir)  # fails at once if it is not there
    experiment = ["experiments/cifar100.py", *data, "--device", "cuda", "--quiet", "--fresh"]
    runs = folder.path.resolve()
    step = ["benchmarks/dense_training.py", "--device", "cuda", "--rounds", "9"]
    parts = {
        "tests": ["-m", "pytest", "-q", *TESTS],
        "experiment": [*experiment, "--output-dir", str(runs / "cifar100")],
        "experiment_tf32": [
            *(*experiment, "--precision", "tf32"),
            *("--output-dir", str(runs / "cifar100_tf32")),
        ],
        "step": [
            *(*step, "--interpreter", *chosen.interpreter),
            *("--output-dir", str(runs / "benchmark")),
        ],
        "tf32_gradients": ["benchmarks/tf32_gradients.py", "--device", "cuda"],
    }
    found = {name: run(folder, name, command) for name, command in parts.items()}
    summary = {
        "date": today(),
        "device": device.describe(),
        "hardware": hardware(),
        "versions": versions() | {"cupy": device.xp.__version__},
        "agreement after an epoch in float32": agreement(device),
        "parts": found,
    }
    folder.write_json("summary.json", summary)
    rows = [[name, *map(str, part.values())] for name, part in found.items()]
    text = markdown_table(["part", "status", "seconds", "last line"], rows)
    folder.write_text("summary.md", f"# GPU check, {device.describe()}, {today()}\n\n{text}\n")
    print(json.dumps(summary["agreement after an epoch in float32"]))
    print(f"written to {folder.path}")
    if any(part["status"] != "0" for part in found.values()):
        sys.exit("gpu_check: some parts failed; see their output in the folder above")


if __name__ == "__main__":
    main()
