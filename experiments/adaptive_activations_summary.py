"""A run of the study of adaptive activation functions as data: claims judged, all trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from adaptive_activations_claims import CLAIMS
from adaptive_activations_series import Figures, published
from adaptive_activations_training import FULL, Outcome, Size

from minidl.study import Conditions, DataUsed, judge
from minidl.study.histories import by_epoch, by_layer
from minidl.study.recording import History

SET_UPS = {"as_run": "as run", "as_described": "as described"}
Trained = Mapping[int, Mapping[tuple[str, str], Outcome]]  # by seed; by group and name


def summarise(
    data: DataUsed,
    size: Size,
    conditions: Conditions,
    trained: Trained,
    runs: Mapping[str, Sequence[Figures]],
) -> dict[str, Any]:
    """``summary.json``: the claims in both set-ups, and every training by epoch."""
    study, whole = published(size.epochs), published()
    return {
        "dataset": data.name,
        "size": asdict(size),
        "is_full_size": size == FULL,
        "seeds": list(trained),
        **conditions.as_dict(),
        "claims": {
            key: [c.as_dict() for c in judge(CLAIMS, study, runs[key], whole)] for key in SET_UPS
        },
        "runs": [
            {
                "seed": seed,
                "trainings": [
                    {"group": group, "name": name}
                    | by_epoch(outcome.history)
                    | _weights(outcome.history)
                    for (group, name), outcome in outcomes.items()
                ],
            }
            for seed, outcomes in trained.items()
        ],
    }


def _weights(history: History) -> dict[str, Any]:
    """The gradients and updates of the weights: the b of APL are no biases.

    Nothing for a training that was begun, and kept, when it was not yet probed.
    """
    if len(history.probes) < len(history.seconds):
        return {}
    layers = by_layer(history)
    return {key: {"weights": layers[key]["weights"]} for key in ("gradients", "update_ratios")}


def claims_text(summary: Mapping[str, Any]) -> str:
    """The verdicts, for the terminal."""
    lines = []
    for run, described in zip(*summary["claims"].values(), strict=True):
        verdicts = f"as run: {run['verdict']}; as described: {described['verdict']}"
        lines.append(f"{run['claim']}\n    {verdicts}")
    return "\n".join(lines)
