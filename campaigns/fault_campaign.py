"""Kill training runs at random instants, thousands of times, and count what was lost.

``python campaigns/fault_campaign.py --kills 1000`` starts two small training runs side by side in a
process of its own, with a checkpoint after every step, and ends it with SIGKILL at a random
instant.  After each kill, every file in the run folder is read; those that have their final name
but are incomplete are counted.  The same command is started and killed again until the training
runs have finished; then parameters, histories and weights files are compared, bit for bit, with
those of an undisturbed run.  Each step that begins is also counted, in a file beside the run
folder: a training run that starts over when it should resume reaches the same results, but has
taken too many steps.  With ``--full-disks``, the same is done on a file system with too little
space, which grows after each failure (Linux, as root).  The exit status is 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from minidl import Adam, Dense, Dropout, Examples, Network, SoftmaxCrossEntropy
from minidl.storage.files import whole_file
from minidl.storage.sealed import DamagedFile, read_sealed
from minidl.study import RunFolder
from minidl.study.cells import Cell, Cells
from minidl.study.order import weights_file
from minidl.study.pools import Threads
from minidl.study.recording import History, record
from minidl.training.checkpoint import Checkpoint, CheckpointError, Saved

RNG = np.random.default_rng(0)
TRAIN = Examples(RNG.integers(0, 256, (500, 48), dtype=np.uint8), RNG.integers(0, 10, 500))
TEST = TRAIN.first(50)
RUNS, EPOCHS, BATCH_SIZE = 2, 4, 50
STEPS = RUNS * EPOCHS * len(TRAIN) // BATCH_SIZE  # in an undisturbed run
LOST = (
    *("files half-written", "results that differ", "parts left behind", "runs that started over"),
    *("starts that failed", "other failures", "accepted", "not even the one before was used"),
)
KINDS = {".cell": Cell, ".checkpoint": Saved, ".previous": Saved, ".json": dict}


def one_training(seed: int, steps: Path, weights: Path, checkpoint: Checkpoint) -> History:
    network = Network([Dense(48, 64, "relu"), Dropout(0.2), Dense(64, 10)], 48, rng=seed)
    history = record(
        network,
        TRAIN,
        TEST,
        SoftmaxCrossEntropy(),
        Adam(),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        rng=seed,
        progress=False,
        checkpoint=checkpoint,
        watch=lambda epoch, step: count_step(steps),
    )
    network.save(weights)
    return history


def count_step(steps: Path) -> None:
    """Append a byte to that file, which remains even if the process is killed at once."""
    file = os.open(steps, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b".")
    os.close(file)


def study(path: Path, steps: Path) -> None:
    """The work that is killed: two training runs, and a file with the results."""
    folder = RunFolder(path, "fault_campaign")
    cells = Cells(path, {"epochs": EPOCHS}, every=1)
    tasks = {
        f"seed{n}": functools.partial(one_training, n, steps, weights_file(path, f"seed{n}"))
        for n in range(RUNS)
    }
    histories = cells.train(tasks, History, Threads(2), weights=True)
    found = [[h.train_loss, h.test_loss, [p.mean_abs() for p in h.probes]] for h in histories]
    folder.write_json("result.json", {"histories": found})


def started(path: Path, steps: Path) -> int:
    """The id of a process that runs :func:`study` in ``path``; its status is 0 if it succeeds."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            study(path, steps)
            status = 0
        except OSError as error:
            status = 2 if error.errno == 28 else 1  # no space left
        finally:
            os._exit(status)
    return child


def load_loops() -> None:
    """Compile the loops here, for the processes that are forked.

    Otherwise each would first load the compiler, and one that is killed soon would never train.
    """
    Adam().step(np.zeros(1, np.float32), np.zeros(1, np.float32))


def undisturbed(folder: Path) -> tuple[dict[str, bytes], float]:
    """The outcome of an undisturbed run, and its duration in seconds."""
    # Run it here once, so that no child has to load what is imported late (Numba takes half a
    # second): a process that is killed before its first checkpoint makes no progress.
    study(folder / "loaded", folder / "loaded.steps")
    path, steps = folder / "whole", folder / "whole.steps"
    start = time.perf_counter()
    _, status = os.waitpid(started(path, steps), 0)
    seconds = time.perf_counter() - start
    done = steps.stat().st_size if steps.exists() else 0
    if status or done != STEPS:
        raise RuntimeError(
            f"expected {STEPS} steps of two training runs and status 0, got {done} and {status}"
        )
    return outcome(path), seconds


def outcome(path: Path) -> dict[str, bytes]:
    """Everything that a run writes, except for times."""
    return {
        name: (path / name).read_bytes()
        for name in ("result.json", "weights/seed0.npz", "weights/seed1.npz")
    }


def damaged(path: Path) -> list[str]:
    """Files with final names that are not complete."""
    found = []
    for file in path.rglob("*"):
        if not file.is_file() or file.suffix in (".part", "") or file.name == ".lock":
            continue
        try:
            if file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"))
            elif file.suffix == ".npz":
                with np.load(file) as arrays:
                    [arrays[name] for name in arrays]
            else:
                read_sealed(file, KINDS[file.suffix])
        except (DamagedFile, ValueError, OSError, EOFError):
            found.append(file.name)
    return found


def kill_campaign(kills: int, seed: int, folder: Path) -> Counter[str]:
    """Kill and restart until ``kills`` processes have been killed; count what happened."""
    rng = random.Random(seed)
    counted = Counter[str]()
    load_loops()
    expected, seconds = undisturbed(folder)
    run = 0
    while counted["killed"] < kills:
        run += 1
        path, steps = folder / f"run{run}", folder / f"run{run}.steps"
        before = counted["killed"]
        while True:
            child = started(path, steps)
            time.sleep(rng.uniform(0, 0.5 * seconds))
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                counted["killed"] += 1
                counted["while a file was being written"] += bool(list(path.rglob("*.part")))
                counted["files half-written"] += len(damaged(path))
            else:
                break
        if os.WEXITSTATUS(status) == 0:
            counted["training runs resumed to the end"] += RUNS
            counted["results that differ"] += outcome(path) != expected
            counted["parts left behind"] += len(list(path.rglob("*.part")))
            count_repeated(steps, counted["killed"] - before, counted)
        else:
            counted["starts that failed"] += 1
        shutil.rmtree(path)
    return counted


def count_repeated(steps: Path, stops: int, counted: Counter[str]) -> None:
    """Count repeated steps: after each stop, at most the last one of each training run is right."""
    again = steps.stat().st_size - STEPS
    counted["steps done again"] += again
    counted["runs that started over"] += not 0 <= again <= RUNS * stops


def full_disk_campaign(rounds: int, seed: int, folder: Path) -> Counter[str]:
    """Training runs on a file system that keeps filling up, and grows a little each time."""
    rng = random.Random(seed)
    counted = Counter[str]()
    expected, _ = undisturbed(folder)
    for number in range(rounds):
        disk, steps = folder / f"disk{number}", folder / f"disk{number}.steps"
        disk.mkdir()
        size = rng.randrange(8, 120) * 1024
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        subprocess.run(mount, check=True)
        try:
            stops = 0
            while True:
                _, status = os.waitpid(started(disk / "run", steps), 0)
                if os.WEXITSTATUS(status) == 0:
                    break
                counted["starts that ended with 'no space left'"] += os.WEXITSTATUS(status) == 2
                counted["other failures"] += os.WEXITSTATUS(status) == 1
                counted["files half-written"] += len(damaged(disk))
                counted["parts left behind"] += len(list(disk.rglob("*.part")))
                stops += 1
                size += rng.randrange(4, 60) * 1024
                grow = ["mount", "-o", f"remount,size={size}", str(disk)]
                subprocess.run(grow, check=True)
            counted["training runs resumed to the end"] += RUNS
            counted["results that differ"] += outcome(disk / "run") != expected
            count_repeated(steps, stops, counted)
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return counted


def damage_campaign(folder: Path) -> Counter[str]:
    """A checkpoint truncated at every length, and with every bit flipped; none may be accepted."""
    counted = Counter[str]()
    path = folder / "damage" / "a.checkpoint"
    path.parent.mkdir()
    two_checkpoints(path)
    good, previous = path.read_bytes(), path.with_name("a.checkpoint.previous")
    cut = (good[:n] for n in range(len(good)))
    flipped = (
        good[: bit // 8] + bytes([good[bit // 8] ^ 1 << bit % 8]) + good[bit // 8 + 1 :]
        for bit in range(8 * len(good))
    )
    before = read_sealed(previous, Saved).t
    for kind, variants in (("cut off", cut), ("with a flipped bit", flipped)):
        for contents in variants:
            path.write_bytes(contents)
            counted[f"checkpoints {kind}"] += 1
            try:
                with contextlib.redirect_stderr(io.StringIO()):  # it reports the damage
                    saved = Checkpoint(path)._saved
                counted["the one before was used"] += saved is not None and saved.t == before
                counted["accepted"] += saved is None or saved.t != before
            except CheckpointError:
                counted["not even the one before was used"] += 1
    return counted


def two_checkpoints(path: Path) -> None:
    """Two checkpoints of the smallest possible training run."""
    network = Network([Dense(2, 2)], 2)
    examples = Examples(np.ones((4, 2), np.float32), np.zeros(4, np.int64))
    record(
        network,
        examples,
        examples,
        SoftmaxCrossEntropy(),
        Adam(),
        epochs=2,
        progress=False,
        checkpoint=Checkpoint(path),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000, help="number of processes to kill")
    parser.add_argument(
        "--full-disks", type=int, default=0, metavar="N", help="file systems to fill"
    )
    parser.add_argument(
        "--damage", action="store_true", help="also damage every bit of a checkpoint"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the instants")
    parser.add_argument("--output", type=Path, help="JSON file for the counts")
    chosen = parser.parse_args()
    counts = {}
    for name, campaign in (
        ("kill -9", functools.partial(kill_campaign, chosen.kills, chosen.seed)),
        ("full disk", functools.partial(full_disk_campaign, chosen.full_disks, chosen.seed)),
        *([("damage", damage_campaign)] if chosen.damage else []),
    ):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            counts[name] = dict(campaign(Path(folder)))
            counts[name]["seconds"] = round(time.perf_counter() - start)
        print(name)
        for what, count in counts[name].items():
            print(f"  {what:<42}{count:>8,}", flush=True)
    if chosen.output is not None:
        with whole_file(chosen.output) as file:
            file.write(json.dumps(counts, indent=1) + "\n")
    sys.exit(any(campaign.get(what) for campaign in counts.values() for what in LOST))


if __name__ == "__main__":
    if not hasattr(os, "fork"):
        sys.exit("fault_campaign: expected a system with fork, such as Linux or macOS")
    main()
