"""Fuzz minidl's file readers, guided by coverage, and count the results.

    python campaigns/fuzz.py --runs 250000 --corpora kept --output fuzz.json
    python campaigns/fuzz.py --exhaustive
    python -m coverage run --branch campaigns/fuzz.py --replay --corpora kept

The first command needs ``pip install -e '.[fuzz]'``: Atheris (libFuzzer) feeds each target of
``fuzz_targets.py`` that many inputs, in a process of its own, which may take up to 5 s per input
and 1 GiB of memory. The second truncates every target's valid file at every length and flips each
of its bits. The third feeds the inputs that the first kept, to see which lines they reach. A
campaign starts with an empty corpus, and must have fed as many inputs as requested. Each command
ends with status 1 if a reader raised anything but its documented exception, accepted a file
wrongly, or took too much time or memory; Atheris stores that input as ``crash-…``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

SECONDS_EACH, MEGABYTES = 5, 1024
TOLD_EVERY = 500  # inputs
# Instrumented: minidl, and the modules of the standard library that it reads files with.
INSTRUMENTED = ["minidl", "gzip", "_compression", "tarfile", "zipfile"]


def fuzz(name: str, libfuzzer: list[str], tally_path: Path, folder: Path) -> None:
    """Feed one target in this process, until libFuzzer ends it."""
    import atheris

    for module in INSTRUMENTED:  # if already imported, it would not be instrumented
        sys.modules.pop(module, None)
    with atheris.instrument_imports(include=INSTRUMENTED):
        from fuzz_targets import TARGETS

    target = TARGETS[name]
    tally: Counter[str] = Counter()

    def feed(data: bytes) -> None:
        kind = "edited" if data[:1] == b"\1" else "raw"
        accepted = target.feed(target.file(data), folder)
        tally[f"{kind}, {'accepted' if accepted else 'refused'}"] += 1
        if tally.total() % TOLD_EVERY == 0:
            tally_path.write_text(json.dumps(tally))

    atheris.Setup([sys.argv[0], *libfuzzer], feed)
    atheris.Fuzz()


def campaign(name: str, runs: int, seed: int, corpus: Path) -> dict[str, Any]:
    """Feed one target ``runs`` inputs in its own process; return the counts."""
    from fuzz_targets import TARGETS

    corpus.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        work, tally = Path(scratch, "work"), Path(scratch, "tally")
        work.mkdir()
        (corpus / "valid").write_bytes(b"\0" + TARGETS[name].valid)
        (corpus / "edits").write_bytes(b"\1" + bytes(24))
        start = time.perf_counter()
        done = subprocess.run(
            [
                *(sys.executable, __file__, "--target", name, str(tally), str(work)),
                *(str(corpus), f"-runs={runs}", f"-seed={seed + 1}", "-max_len=20000"),
                *(f"-timeout={SECONDS_EACH}", f"-rss_limit_mb={MEGABYTES}", "-print_final_stats=1"),
            ],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        seconds = time.perf_counter() - start
        counted = json.loads(tally.read_text()) if tally.exists() else {}
        edges = re.findall(r"cov: (\d+)", done.stderr)
        peak = re.search(r"peak_rss_mb:\s*(\d+)", done.stderr)
        executed = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
        inputs = int(executed[1]) if executed else 0
        # The target process keeps its own count, and reports it after every TOLD_EVERY inputs.
        fed = inputs >= runs and sum(counted.values()) > inputs - TOLD_EVERY
        found = done.returncode != 0 or not fed
        if found:
            print(done.stderr[-5000:], file=sys.stderr)
        return {
            "inputs": inputs,
            **counted,
            "edges": int(edges[-1]) if edges else None,
            "corpus": len(list(corpus.iterdir())),
            "seconds": round(seconds),
            "peak_mb": int(peak[1]) if peak else None,
            "found": found,
        }


def exhaustive(name: str) -> dict[str, Any]:
    """Every prefix of the valid file, and the file with each single bit flipped."""
    from fuzz_targets import TARGETS

    target, tally = TARGETS[name], Counter[str]()
    valid = target.valid
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        folder = Path(scratch)
        for length in range(len(valid)):
            tally["cut, accepted"] += target.feed(valid[:length], folder)
        for bit in range(8 * len(valid)):
            flipped = bytearray(valid)
            flipped[bit // 8] ^= 1 << bit % 8
            tally["flipped, accepted"] += target.feed(bytes(flipped), folder)
    seconds = round(time.perf_counter() - start)
    return {"cut": len(valid), "flipped": 8 * len(valid), **tally, "seconds": seconds}


def replay(name: str, corpus: Path) -> dict[str, Any]:
    """Feed the inputs that an earlier campaign kept."""
    from fuzz_targets import TARGETS

    target, inputs = TARGETS[name], sorted(corpus.iterdir())
    if not inputs:
        sys.exit(f"fuzz: expected inputs of an earlier campaign in {corpus}, got none")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        accepted = sum(target.feed(target.file(path.read_bytes()), Path(folder)) for path in inputs)
    return {"inputs": len(inputs), "accepted": accepted}


def main() -> None:
    if sys.argv[1:2] == ["--target"]:
        name, tally, folder, *libfuzzer = sys.argv[2:]
        fuzz(name, libfuzzer, Path(tally), Path(folder))
        return
    from fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--runs", type=int, default=10_000, help="inputs per target")
    add("--seed", type=int, default=0, help="seed of the fuzzer")
    add(
        "--targets",
        nargs="+",
        choices=TARGETS,
        default=list(TARGETS),
        help="readers (default: all)",
    )
    add(
        "--exhaustive",
        action="store_true",
        help="cut at every length and flip every bit instead",
    )
    add("--replay", action="store_true", help="feed the kept inputs instead")
    add("--corpora", type=Path, default=Path("runs/fuzz"), help="folder for inputs to keep")
    add("--output", type=Path, help="JSON file for the results")
    chosen = parser.parse_args()
    kept = [folder for folder in map(chosen.corpora.joinpath, chosen.targets) if folder.exists()]
    if kept and not (chosen.exhaustive or chosen.replay):
        parser.error(
            f"--corpora: expected a folder without inputs of {kept[0].name}, got {kept[0]}; "
            "choose another"
        )
    results = {}
    for name in chosen.targets:
        corpus = chosen.corpora / name
        if chosen.exhaustive:
            results[name] = exhaustive(name)
        elif chosen.replay:
            results[name] = replay(name, corpus)
        else:
            results[name] = campaign(name, chosen.runs, chosen.seed, corpus)
        print(name, results[name], flush=True)
        if chosen.output:
            chosen.output.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(any(result.get("found") for result in results.values()))


if __name__ == "__main__":
    main()
