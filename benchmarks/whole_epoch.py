"""One epoch of ``experiments/cifar100.py`` as a whole process, beside the same epoch elsewhere.

    python benchmarks/whole_epoch.py --data-dir DIR [--interpreter PYTHON]

Wall time, processor time and peak memory of: minidl, both networks side by side and one after the
other; Keras and PyTorch, one after the other, with float32 data sets as their users have them.
Each epoch of each network is followed by the test images and the gradients of 64 images. Also: how
long ``import minidl`` takes beyond NumPy's own import.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from minidl.reporting import RunFolder, text_table
from minidl.reporting.environment import hardware, today

HERE = Path(__file__).parent
IMPORT = (
    "import time, numpy; t = time.perf_counter(); import minidl; print(time.perf_counter() - t)"
)


def measure(command: list[str]) -> dict[str, float] | None:
    """What the operating system says of the finished process; None where it failed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        return None
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * 1024 / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with CIFAR-100")
    parser.add_argument("--interpreter", default=sys.executable, help="for Keras and PyTorch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output-dir", type=Path, default=Path("runs/benchmark"))
    chosen = parser.parse_args()
    folder = RunFolder(chosen.output_dir, "benchmark")
    data = str(chosen.data_dir)
    with tempfile.TemporaryDirectory() as scratch:
        ours = [sys.executable, str(HERE.parent / "experiments/cifar100.py"), "--epochs", "1"]
        ours += ["--quiet", "--dataset", "cifar-100", "--data-dir", data, "--output-dir", scratch]
        commands = {
            "minidl, side by side": [*ours, "--jobs", "2"],
            "minidl, one by one": [*ours, "--jobs", "1"],
            "PyTorch": [chosen.interpreter, str(HERE / "epoch_in_torch.py"), data],
            "Keras": [chosen.interpreter, str(HERE / "epoch_in_keras.py"), data],
        }
        found: dict[str, list[dict[str, float]]] = {}
        for number in range(chosen.rounds + 1):  # the first warms the disk's cache
            for name, command in commands.items():
                figures = measure(command)
                if figures is None:
                    print(f"{name}: failed, or not installed for this interpreter")
                elif number > 0:
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
    folder.write_json("whole_epoch.json", everything)


if __name__ == "__main__":
    main()
