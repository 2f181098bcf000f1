"""Kill trainings at random instants, thousands of times, and count what was lost.

``python benchmarks/fault_campaign.py --kills 1000`` starts two small trainings side by side in a
process of its own, with a checkpoint after every step, and ends it with SIGKILL at a random
instant.  After each kill every file in the run folder is read: one that is half-written, or that
is there under its own name and does not read, is counted.  The same command is started again and
killed again until the trainings are done; then parameters, histories and weights files are
compared, bit for bit, with those of a run that nobody disturbed.  With ``--full-disks`` the same
on a file system with too little room, which grows after each failure (Linux, as root).
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
from minidl.cells import Cell, Cells
from minidl.checkpoint import Checkpoint, CheckpointError, Saved
from minidl.files import whole_file
from minidl.recording import History, record
from minidl.reporting import RunFolder
from minidl.sealed import DamagedFile, read_sealed

RNG = np.random.default_rng(0)
TRAIN = Examples(RNG.integers(0, 256, (500, 48), dtype=np.uint8), RNG.integers(0, 10, 500))
TEST = TRAIN.first(50)
EPOCHS, BATCH_SIZE = 4, 50
KINDS = {".cell": Cell, ".checkpoint": Saved, ".previous": Saved, ".json": dict}


def one_training(seed: int, weights: Path, checkpoint: Checkpoint) -> History:
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
    )
    network.save(weights)
    return history


def study(path: Path) -> None:
    """What is killed: two trainings, and a file that says what came out."""
    folder = RunFolder(path, "fault_campaign")
    cells = Cells(path, {"epochs": EPOCHS}, every=1)
    tasks = {
        f"seed{n}": functools.partial(one_training, n, cells.weights_of(f"seed{n}"))
        for n in range(2)
    }
    histories = cells.train(tasks, History, jobs=2, weights=True)
    found = [[h.train_loss, h.test_loss, [p.mean_abs() for p in h.probes]] for h in histories]
    folder.write_json("result.json", {"histories": found})


def started(path: Path) -> int:
    """The number of a process that runs :func:`study` in ``path``; 0 ends one that succeeded."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            study(path)
            status = 0
        except OSError as error:
            status = 2 if error.errno == 28 else 1  # no space left
        finally:
            os._exit(status)
    return child


def outcome(path: Path) -> dict[str, bytes]:
    """All that a run leaves that does not tell the time."""
    return {
        name: (path / name).read_bytes()
        for name in ("result.json", "weights/seed0.npz", "weights/seed1.npz")
    }


def damaged(path: Path) -> list[str]:
    """Files that stand under their own names and are not whole."""
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
    """Kill and start again until ``kills`` processes were killed; what was seen, counted."""
    rng = random.Random(seed)
    whole, counted = folder / "whole", Counter[str]()
    start = time.perf_counter()
    os.waitpid(started(whole), 0)
    undisturbed = time.perf_counter() - start
    expected = outcome(whole)
    run = 0
    while counted["killed"] < kills:
        run += 1
        path = folder / f"run{run}"
        while True:
            child = started(path)
            time.sleep(rng.uniform(0, 0.5 * undisturbed))
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                counted["killed"] += 1
                counted["while a file was being written"] += bool(list(path.rglob("*.part")))
                counted["files half-written"] += len(damaged(path))
            elif os.WEXITSTATUS(status) == 0:
                break
            else:
                counted["starts that failed"] += 1
                break
        counted["trainings resumed to the end"] += 2
        counted["results that differ"] += outcome(path) != expected
        counted["parts left behind"] += len(list(path.rglob("*.part")))
        shutil.rmtree(path)
    return counted


def full_disk_campaign(rounds: int, seed: int, folder: Path) -> Counter[str]:
    """Trainings on a file system that is full again and again, and grows a little each time."""
    rng = random.Random(seed)
    whole, counted = folder / "whole", Counter[str]()
    os.waitpid(started(whole), 0)
    expected = outcome(whole)
    for number in range(rounds):
        disk = folder / f"disk{number}"
        disk.mkdir()
        size = rng.randrange(8, 120) * 1024
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        subprocess.run(mount, check=True)
        try:
            while True:
                _, status = os.waitpid(started(disk / "run"), 0)
                if os.WEXITSTATUS(status) == 0:
                    break
                counted["starts that ended with 'no space left'"] += os.WEXITSTATUS(status) == 2
                counted["other failures"] += os.WEXITSTATUS(status) == 1
                counted["files half-written"] += len(damaged(disk))
                counted["parts left behind"] += len(list(disk.rglob("*.part")))
                size += rng.randrange(4, 60) * 1024
                grow = ["mount", "-o", f"remount,size={size}", str(disk)]
                subprocess.run(grow, check=True)
            counted["trainings resumed to the end"] += 2
            counted["results that differ"] += outcome(disk / "run") != expected
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return counted


def damage_campaign(folder: Path) -> Counter[str]:
    """A checkpoint cut off at every length, and with every bit flipped: never accepted."""
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
                with contextlib.redirect_stderr(io.StringIO()):  # it says so each time
                    saved = Checkpoint(path)._saved
                counted["the one before was used"] += saved is not None and saved.t == before
                counted["accepted"] += saved is None or saved.t != before
            except CheckpointError:
                counted["not even the one before was used"] += 1
    return counted


def two_checkpoints(path: Path) -> None:
    """Two checkpoints of a training as small as can be."""
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
    parser.add_argument("--kills", type=int, default=1000, help="processes to kill")
    parser.add_argument("--full-disks", type=int, default=0, metavar="N", help="file systems")
    parser.add_argument("--damage", action="store_true", help="every length, every flipped bit")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--output", type=Path, help="file for the counts, in JSON")
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


if __name__ == "__main__":
    if not hasattr(os, "fork"):
        sys.exit("fault_campaign: expected a system with fork, such as Linux or macOS")
    main()
