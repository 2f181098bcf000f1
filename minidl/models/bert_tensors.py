"""The tensors of a BERT in a file: their names and shapes there, and where each goes here."""

from __future__ import annotations

from typing import NamedTuple

from minidl.models.bert import BertSizes


class Tensor(NamedTuple):
    """A tensor of a file; that of a Dense layer's W is transposed."""

    layer: str
    parameter: str
    shape: tuple[int, ...]


def tensors_of(sizes: BertSizes, pooler: bool = True) -> dict[str, Tensor]:
    """All tensors of a BERT of these sizes, by their names."""
    D, F = sizes.features, sizes.hidden
    tables = {
        "word": ("tokens", sizes.vocabulary),
        "position": ("positions", sizes.positions),
        "token_type": ("segments", sizes.segments),
    }
    dense = {"pooler.dense": ("pooler", D, D)} if pooler else {}
    norms = {"embeddings.LayerNorm": "norm"}
    for i in range(sizes.blocks):
        theirs, ours = f"encoder.layer.{i}.", f"block_{i + 1}."
        for part in ("query", "key", "value"):
            dense[f"{theirs}attention.self.{part}"] = (f"{ours}attention.{part}", D, D)
        dense |= {
            f"{theirs}attention.output.dense": (f"{ours}attention.output", D, D),
            f"{theirs}intermediate.dense": (f"{ours}feed_forward.dense_1", F, D),
            f"{theirs}output.dense": (f"{ours}feed_forward.dense_2", D, F),
        }
        norms |= {
            f"{theirs}attention.output.LayerNorm": f"{ours}norm_1",
            f"{theirs}output.LayerNorm": f"{ours}norm_2",
        }
    found = {
        f"embeddings.{theirs}_embeddings.weight": Tensor(ours, "W", (rows, D))
        for theirs, (ours, rows) in tables.items()
    }
    for theirs, (ours, n_out, n_in) in dense.items():
        found[f"{theirs}.weight"] = Tensor(ours, "W", (n_out, n_in))
        found[f"{theirs}.bias"] = Tensor(ours, "b", (n_out,))
    for theirs, ours in norms.items():
        found[f"{theirs}.weight"] = Tensor(ours, "gamma", (D,))
        found[f"{theirs}.bias"] = Tensor(ours, "beta", (D,))
    return found
