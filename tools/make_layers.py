"""Write layers.json: the results of PyTorch's layers and autograd for inputs drawn here.

    python tools/make_layers.py

Everything is in float64.  PyTorch has no adaptive piecewise linear units: APL is written
with its elementary functions and differentiated by its autograd.
"""

from __future__ import annotations

import json
import platform
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minidl import (
    APL,
    GLU,
    ActivationLayer,
    BatchNorm,
    Dense,
    Embedding,
    EncoderBlock,
    Layer,
    LayerNorm,
    PositionEmbedding,
    PReLU,
    Residual,
    RReLU,
    SelfAttention,
    Sequential,
    SwiGLU,
)
from minidl.backend import namespace

PLACE = Path(__file__).parents[1] / "tests" / "golden" / "layers.json"
STEPS = 2  # training steps before the one in inference

UNITS, MAPS = (5, 4), (3, 4, 2, 3)  # (N, C) and (N, C, H, W)
SENTENCES = (3, 5, 6)  # (N, T, D)


def embedded(*layers: Callable[[Embedding], Layer]) -> Sequential:
    """Layers behind an embedding of nine tokens, of which 0 is padding."""
    tokens = Embedding(9, 6, padding=0)
    return Sequential([tokens, *[layer(tokens) for layer in layers]])


LAYERS: dict[str, tuple[Callable[[], Layer], tuple[int, ...]]] = {
    "batch norm of units": (lambda: BatchNorm(4), UNITS),
    "batch norm of maps": (lambda: BatchNorm(4, momentum=0.7, epsilon=1e-3), MAPS),
    "prelu of units": (lambda: PReLU(4), UNITS),
    "prelu of maps": (lambda: PReLU(4), MAPS),
    "rrelu": (lambda: RReLU(0.2, 0.6), MAPS),
    "apl of units": (lambda: APL(4, hinges=1), UNITS),
    "apl of maps": (lambda: APL(4, hinges=5), MAPS),
    "glu of units": (GLU, UNITS),
    "glu of maps": (GLU, MAPS),
    "swiglu of units": (SwiGLU, UNITS),
    "swiglu of maps": (SwiGLU, MAPS),
    "squared relu": (lambda: ActivationLayer("squared_relu"), MAPS),
    "penalized tanh": (lambda: ActivationLayer("penalized_tanh"), MAPS),
    **{
        f"activate {f}": (lambda f=f: ActivationLayer(f), MAPS)
        for f in (
            *("softplus", "mish", "celu", "softsign", "relu6", "hard_sigmoid", "hard_swish"),
            "randomized_leaky_relu",
        )
    },
    "square": (lambda: ActivationLayer("square"), MAPS),
    "gelu, tanh form": (lambda: ActivationLayer("gelu_tanh"), MAPS),
    "dense of sentences": (lambda: Dense(6, 4, "tanh"), SENTENCES),
    "glu of sentences": (GLU, SENTENCES),
    "layer norm of units": (lambda: LayerNorm(4), UNITS),
    "layer norm of sentences": (lambda: LayerNorm(6, epsilon=1e-3), SENTENCES),
    "self-attention": (lambda: SelfAttention(6, 2), SENTENCES),
    "embedding": (lambda: Embedding(9, 4), SENTENCES[:2]),
    "embedding and positions": (
        lambda: embedded(lambda tokens: PositionEmbedding(7, 6)),
        SENTENCES[:2],
    ),
    "self-attention with padding": (
        lambda: embedded(lambda tokens: SelfAttention(6, 3, tokens=tokens)),
        SENTENCES[:2],
    ),
    "encoder block with padding": (
        lambda: embedded(lambda tokens: EncoderBlock(6, 2, 8, tokens=tokens)),
        SENTENCES[:2],
    ),
    "encoder block of swiglu, norm first": (
        lambda: embedded(
            lambda tokens: EncoderBlock(6, 2, 8, "swiglu", tokens=tokens, pre_norm=True)
        ),
        SENTENCES[:2],
    ),
    "residual with identity": (
        lambda: Residual([Dense(4, 3, "tanh"), BatchNorm(3), Dense(3, 4)]),
        UNITS,
    ),
    "residual with shortcut": (
        lambda: Residual([Dense(4, 3), BatchNorm(3), ActivationLayer("relu")], [Dense(4, 3)]),
        UNITS,
    ),
    "residual with activation": (
        lambda: Residual([Dense(4, 4, "tanh"), BatchNorm(4)], activation="tanh"),
        UNITS,
    ),
}


def build(name: str, device: Any = "cpu") -> Layer:
    """The layer with parameters that are all different, and none at its initial value."""
    layer = LAYERS[name][0]().build(dtype="float64", device=device)
    rng = _generator(name)
    for part in layer.walk():
        for value in part.parameters().values():
            value[...] = namespace(value).asarray(rng.normal(0.2, 0.7, value.shape))
    return layer


def steps(name: str) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """x, a draw that is cut to dy, and whether it is a training step."""
    rng = _generator(name + " data")
    make, shape = LAYERS[name]
    if make().integer_input:
        return [
            (tokens(rng, shape), rng.standard_normal((*shape, 6)), step < STEPS)
            for step in range(STEPS + 1)
        ]
    return [
        (rng.normal(0.3, 1.5, shape), rng.standard_normal(shape), step < STEPS)
        for step in range(STEPS + 1)
    ]


def tokens(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Sentences of different lengths; padding is 0."""
    drawn = rng.integers(1, 9, shape)
    ends = shape[1] - np.arange(shape[0]) % shape[1]
    return np.where(np.arange(shape[1]) < ends[:, None], drawn, 0)


def cut(drawn: np.ndarray, y: Any) -> np.ndarray:
    """The part of the draw with the size of y: GLU halves its input."""
    return drawn[tuple(slice(n) for n in y.shape)]


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def in_torch(layer: Layer, p: dict[str, Any]) -> Callable[[Any, bool], Any]:
    """The same layer in PyTorch; ``p`` are its parameters and state as tensors, by full name."""
    import torch

    F = torch.nn.functional
    names = list(layer.parameter_shapes()) + list(layer.state_shapes())
    at = layer.name + "." if layer.name else ""
    own = [p[at + name] for name in names]

    def spread(v: Any, x: Any) -> Any:
        return v.reshape(-1, *[1] * (x.ndim - 2))

    def batch_norm(x: Any, training: bool) -> Any:
        gamma, beta, mean, variance = own
        momentum = 1 - layer.momentum
        return F.batch_norm(x, mean, variance, gamma, beta, training, momentum, layer.epsilon)

    def apl(x: Any, training: bool) -> Any:
        a, b = own
        hinges = (
            spread(a_s, x) * torch.relu(spread(b_s, x) - x) for a_s, b_s in zip(a, b, strict=True)
        )
        return torch.relu(x) + sum(hinges)

    def residual(x: Any, training: bool) -> Any:
        ends = [x, x]
        for i, row in enumerate(layer.layers):
            for inside in row.layers:
                ends[i] = in_torch(inside, p)(ends[i], training)
        return functions[layer.activation.name](ends[0] + ends[1])

    def features(x: Any) -> int:
        return 2 if x.ndim == 3 else 1

    def swiglu(x: Any, training: bool) -> Any:
        a, b = x.chunk(2, dim=features(x))
        return F.silu(a) * b

    def attention(x: Any, training: bool) -> Any:
        """PyTorch's own: its matrices are ours, transposed and stacked."""
        maps = [layer.query, layer.key, layer.value, layer.output]
        W = [p[f"{m.name}.W"].T for m in maps]
        b = [p[f"{m.name}.b"] for m in maps]
        padding = None if layer.tokens is None else p["padding"]
        y, _ = F.multi_head_attention_forward(
            *[x.transpose(0, 1)] * 3,
            embed_dim_to_check=layer.features,
            num_heads=layer.heads,
            in_proj_weight=torch.cat(W[:3]),
            in_proj_bias=torch.cat(b[:3]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=W[3],
            out_proj_bias=b[3],
            training=training,
            key_padding_mask=padding,
        )
        return y.transpose(0, 1)

    def block(x: Any, training: bool) -> Any:
        def part(name: str, x: Any) -> Any:
            return in_torch(getattr(layer, name), p)(x, training)

        if layer.pre_norm:
            h = x + part("attention", part("norm_1", x))
            return h + part("feed_forward", part("norm_2", h))
        h = part("norm_1", x + part("attention", x))
        return part("norm_2", h + part("feed_forward", h))

    def chain(x: Any, training: bool) -> Any:
        if layer.integer_input:
            p["padding"] = x == 0
        for inside in layer.layers:
            x = in_torch(inside, p)(x, training)
        return x

    def rrelu(x: Any, training: bool) -> Any:
        """PyTorch's own in inference; in training with the slopes that the layer draws."""
        if not training:
            return F.rrelu(x, layer.low, layer.high)
        u = torch.tensor(layer.sample(tuple(x.shape)), dtype=x.dtype)
        return torch.where(x > 0, x, (layer.low + (layer.high - layer.low) * u) * x)

    functions = {
        "square": torch.square,
        "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "squared_relu": lambda x: torch.relu(x).square(),
        "penalized_tanh": lambda x: torch.where(x > 0, 1.0, 0.25) * torch.tanh(x),
        "softplus": F.softplus,
        "mish": F.mish,
        "celu": F.celu,
        "softsign": F.softsign,
        "relu6": F.relu6,
        # F.hardsigmoid's gradient has 1/6 in single precision, whatever the type.
        "hard_sigmoid": lambda x: F.relu6(x + 3) / 6,
        "hard_swish": F.hardswish,
        "randomized_leaky_relu": lambda x: F.rrelu(x, training=False),
        "tanh": torch.tanh,
        "relu": torch.relu,
        "linear": lambda x: x,
    }
    return {
        BatchNorm: batch_norm,
        PReLU: lambda x, training: F.prelu(x, *own),
        RReLU: rrelu,
        APL: apl,
        GLU: lambda x, training: F.glu(x, dim=features(x)),
        LayerNorm: lambda x, training: F.layer_norm(x, x.shape[-1:], *own, layer.epsilon),
        Embedding: lambda x, training: F.embedding(x, *own),
        PositionEmbedding: lambda x, training: x + own[0][: x.shape[1]],
        SelfAttention: attention,
        EncoderBlock: block,
        Sequential: chain,
        SwiGLU: swiglu,
        ActivationLayer: lambda x, training: functions[layer.activation.name](x),
        Dense: lambda x, training: functions[layer.activation.name](x @ own[0] + own[1]),
        Residual: residual,
    }[type(layer)]


def pytorch_steps(name: str) -> list[dict[str, list[float]]]:
    """y, dx, the gradients and the state of each step, as flat lists; tokens have no dx."""
    import torch

    layer = build(name)
    parameters, state = {}, {}
    for part in layer.walk():
        at = part.name + "." if part.name else ""
        for key, value in part.parameters().items():
            parameters[at + key] = torch.tensor(value, requires_grad=True)
        for key, value in part.state().items():
            state[at + key] = torch.tensor(value)
    function = in_torch(layer, parameters | state)
    found = []
    for drawn_x, drawn_dy, training in steps(name):
        x = torch.tensor(drawn_x, requires_grad=drawn_x.dtype.kind == "f")
        y = function(x, training)
        y.backward(torch.tensor(cut(drawn_dy, y)))
        arrays = {"y": y.detach()} | ({"dx": x.grad} if x.requires_grad else {})
        for key, value in parameters.items():
            arrays["d " + key] = value.grad.clone()
            value.grad = None
        arrays |= {key: value.clone() for key, value in state.items()}
        found.append({key: value.numpy().ravel().tolist() for key, value in arrays.items()})
    return found


def main() -> None:
    import torch

    lines = [
        '"made by": "tools/make_layers.py"',
        f'"python": "{platform.python_version()}"',
        f'"numpy": "{np.__version__}"',
        f'"torch": "{torch.__version__}"',
    ]
    for name in LAYERS:
        rows = ",\n  ".join(json.dumps(step) for step in pytorch_steps(name))
        lines.append(f'"{name}": [\n  {rows}\n ]')
    PLACE.write_text("{\n " + ",\n ".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
