"""Where each tensor of a BERT goes: its name in a file, its shape, its layer and parameter."""

from __future__ import annotations

from minidl.models.bert import BertSizes


def places_of(sizes: BertSizes, pooler: bool) -> dict[str, tuple[str, str]]:
    """Name of each tensor -> layer and parameter that it goes to."""
    found = {
        "embeddings.word_embeddings.weight": ("tokens", "W"),
        "embeddings.position_embeddings.weight": ("positions", "W"),
        "embeddings.token_type_embeddings.weight": ("segments", "W"),
    }
    norms = {"embeddings.LayerNorm": "norm"}
    maps = {"pooler.dense": "pooler"} if pooler else {}
    for i in range(sizes.blocks):
        theirs, ours = f"encoder.layer.{i}.", f"block_{i + 1}."
        for part in ("query", "key", "value"):
            maps[f"{theirs}attention.self.{part}"] = f"{ours}attention.{part}"
        maps |= {
            f"{theirs}attention.output.dense": f"{ours}attention.output",
            f"{theirs}intermediate.dense": f"{ours}feed_forward.dense_1",
            f"{theirs}output.dense": f"{ours}feed_forward.dense_2",
        }
        norms |= {
            f"{theirs}attention.output.LayerNorm": f"{ours}norm_1",
            f"{theirs}output.LayerNorm": f"{ours}norm_2",
        }
    for theirs, ours in maps.items():
        found |= {f"{theirs}.weight": (ours, "W"), f"{theirs}.bias": (ours, "b")}
    for theirs, ours in norms.items():
        found |= {f"{theirs}.weight": (ours, "gamma"), f"{theirs}.bias": (ours, "beta")}
    return found


def shapes_of(sizes: BertSizes) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a BERT of these sizes."""
    D, F = sizes.features, sizes.hidden
    of_map = {"feed_forward.dense_1": (F, D), "feed_forward.dense_2": (D, F)}
    of_table = {
        "tokens": (sizes.vocabulary, D),
        "positions": (sizes.positions, D),
        "segments": (sizes.segments, D),
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (layer, parameter) in places_of(sizes, pooler=True).items():
        matrix = of_map.get(layer.partition(".")[2], (D, D))
        if parameter == "W":
            shapes[name] = of_table.get(layer, matrix)
        else:
            shapes[name] = matrix[:1] if parameter == "b" else (D,)
    return shapes
