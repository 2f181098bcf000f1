"""Write bert.npz: the output of transformers' BertForSequenceClassification, in float64.

    python tools/make_bert.py

The weights are drawn here by NumPy and put into both: states after each block, pooler, logits,
every gradient, and the losses of ten steps of AdamW with and without weight decay.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minidl.models import BertSizes, Pretrained

PLACE = Path(__file__).parents[1] / "tests" / "golden" / "bert.npz"
SIZES = BertSizes(
    vocabulary=30, features=12, blocks=3, heads=3, hidden=16, positions=512, segments=2
)
CLASSES = 3
TOKENS = np.array(
    [
        [1, 5, 9, 5, 28, 17, 2],
        [1, 12, 29, 2, 0, 0, 0],
        [1, 2, 0, 0, 0, 0, 0],
        [1, 21, 3, 4, 21, 2, 0],
    ]
)
LABELS = np.array([0, 2, 1, 2])
STEPS, RATE = 10, 3e-3
DECAYS = {"no decay": 0.0, "decay of matrices": 0.1}


def weights() -> tuple[Pretrained, dict[str, np.ndarray]]:
    """The encoder as if read from a file, and the classifier."""
    from minidl.models.bert_tensors import tensors_of

    rng = np.random.default_rng(5)
    tensors = {
        name: rng.normal(1 if "LayerNorm.weight" in name else 0, 0.4, one.shape)
        for name, one in tensors_of(SIZES).items()
    }
    shape = (CLASSES, SIZES.features)
    head = {"weight": rng.normal(0, 0.4, shape), "bias": rng.normal(0, 0.4, CLASSES)}
    return Pretrained(SIZES, tensors, (), "drawn"), head


def in_transformers(source: Pretrained, head: dict[str, np.ndarray]) -> Any:
    """The same model there, without dropout."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    sizes = source.sizes
    config = BertConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.features,
        num_hidden_layers=sizes.blocks,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.hidden,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.segments,
        layer_norm_eps=sizes.epsilon,
        hidden_act={"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu"}[sizes.activation],
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        classifier_dropout=0.0,
        num_labels=len(head["bias"]),
        attn_implementation="eager",
    )
    model = BertForSequenceClassification(config).double()
    state = {
        f"bert.{name}": torch.tensor(v, dtype=torch.float64) for name, v in source.tensors.items()
    }
    state |= {f"classifier.{name}": torch.tensor(v) for name, v in head.items()}
    missing, surplus = model.load_state_dict(state, strict=False)
    assert not surplus
    assert all("position_ids" in name for name in missing), missing
    return model


def transformers_values(
    source: Pretrained, head: dict[str, np.ndarray], tokens: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """States, pooler, logits, the loss and every gradient of it."""
    import torch

    model = in_transformers(source, head).train()
    given = torch.tensor(tokens, dtype=torch.long)
    mask = (given != 0).long()
    inside = model.bert(given, attention_mask=mask, output_hidden_states=True)
    result = model(given, attention_mask=mask, labels=torch.tensor(labels))
    result.loss.backward()
    found = {f"states {i}": h for i, h in enumerate(inside.hidden_states)}
    found |= {"pooler": inside.pooler_output, "logits": result.logits, "loss": result.loss}
    for name, parameter in model.named_parameters():
        found[f"d {name.removeprefix('bert.')}"] = parameter.grad
    return {name: value.detach().numpy().copy() for name, value in found.items()}


def transformers_losses(
    source: Pretrained,
    head: dict[str, np.ndarray],
    tokens: np.ndarray,
    labels: np.ndarray,
    decay: float,
) -> np.ndarray:
    """The losses of ten steps of AdamW; biases and normalizations do not decay."""
    import torch

    model = in_transformers(source, head).train()
    named = dict(model.named_parameters())
    alone = [p for name, p in named.items() if name.endswith("bias") or "LayerNorm" in name]
    matrices = [p for p in named.values() if all(p is not other for other in alone)]
    groups = [
        {"params": matrices, "weight_decay": decay},
        {"params": alone, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    given = torch.tensor(tokens, dtype=torch.long)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        mask = (given != 0).long()
        loss = model(given, attention_mask=mask, labels=torch.tensor(labels)).loss
        loss.backward()
        # clip_grad_norm_ adds 1e-6 to the norm, which shows in the eighth digit of the losses
        gradients = [p.grad for p in named.values()]
        norm = torch.sqrt(sum((g * g).sum() for g in gradients))
        for g in gradients:
            g *= min(1.0, 1.0 / norm.item())
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def main() -> None:
    import platform

    import torch
    import transformers

    source, head = weights()
    arrays = transformers_values(source, head, TOKENS, LABELS)
    for name, decay in DECAYS.items():
        arrays[f"losses, {name}"] = transformers_losses(source, head, TOKENS, LABELS, decay)
    made = (
        f"tools/make_bert.py, python {platform.python_version()}, numpy {np.__version__}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )
    np.savez_compressed(PLACE, **{"made by": np.array(made)}, **arrays)


if __name__ == "__main__":
    main()
