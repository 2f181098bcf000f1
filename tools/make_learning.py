"""Write learning.json: scikit-learn's class reports, PyTorch's schedules, Keras's early stopping.

python tools/make_learning.py
"""

from __future__ import annotations

import json
import math
import platform
from pathlib import Path
from typing import Any

import numpy as np

PLACE = Path(__file__).parents[1] / "tests" / "golden" / "learning.json"

# name: (classes, examples, share of right answers); seeds are the positions
REPORTS = {
    "two classes": (2, 50, 0.7),
    "ten classes": (10, 400, 0.6),
    "few examples": (7, 9, 0.5),  # classes without examples, and classes never taken
    "all wrong": (4, 30, 0.0),
}
EPOCHS = 25
STEPS = [(0.1, 10, 0.5), (0.05, 1, 0.9), (1.0, 7, 0.1)]  # start, every, factor
COSINES = [(0.1, 25, 0.0), (0.01, 20, 0.001), (0.5, 1, 0.1)]  # start, epochs, end
# name: (patience, min_delta, losses by epoch)
STOPPINGS: dict[str, tuple[int, float, list[float]]] = {
    "falls": (2, 0.0, [5, 4, 3, 2, 1]),
    "rises": (3, 0.0, [1, 2, 3, 4, 5, 6]),
    "patience 5": (5, 0.0, [3, 2, 1, 2, 2, 2, 2, 2, 2, 2]),
    "better in the last moment": (3, 0.0, [3, 2, 2.5, 2.4, 1.9, 2, 2, 2, 1]),
    "equal is not better": (2, 0.0, [1, 1, 1, 1]),
    "by less than min_delta": (3, 0.1, [1.0, 0.95, 0.92, 0.91, 0.7]),
    "by exactly min_delta": (2, 0.5, [2.0, 1.5, 1.0, 0.5]),
    "slowly, but from the best": (4, 0.1, [1.0, 0.95, 0.88, 0.85, 0.75, 0.7, 0.69, 0.69, 0.69]),
    "not a number on the way": (2, 0.0, [3, math.nan, 2, math.nan, math.nan, 1]),
    "patience 1": (1, 0.0, [2, 1, 3, 0]),
}


def answers(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of one report."""
    classes, n, right = REPORTS[name]
    rng = np.random.default_rng(list(REPORTS).index(name))
    labels = rng.integers(0, classes, n)
    wrong = (labels + rng.integers(1, classes, n)) % classes
    return labels, np.where(rng.random(n) < right, labels, wrong)


def sklearn_report(name: str) -> dict[str, Any]:
    from sklearn import metrics

    labels, predictions = answers(name)
    classes = range(REPORTS[name][0])
    scores = {
        average or "by_class": [
            np.asarray(score).tolist()
            for score in metrics.precision_recall_fscore_support(
                labels, predictions, labels=classes, average=average, zero_division=0
            )
            if score is not None
        ]
        for average in (None, "macro", "weighted")
    }
    confusion = metrics.confusion_matrix(labels, predictions, labels=classes)
    return scores | {
        "confusion": confusion.tolist(),
        "accuracy": metrics.accuracy_score(labels, predictions),
        "matthews": float(metrics.matthews_corrcoef(labels, predictions)),
    }


WARM_UPS = [(5e-5, 20, 4), (0.1, 7, 0), (1.0, 5, 4)]  # peak, steps, warm_up


def transformers_rates(peak: float, steps: int, warm_up: int) -> list[float]:
    """The rate of each step, and two more."""
    import torch
    from transformers import get_linear_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    schedule = get_linear_schedule_with_warmup(optimizer, warm_up, steps)
    rates = []
    for _ in range(steps + 2):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def torch_rates(schedule: str, start: float, epochs: int = EPOCHS, **options: Any) -> list[float]:
    """The rate in each epoch, and the one after the last."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=start)
    scheduler = getattr(torch.optim.lr_scheduler, schedule)(optimizer, **options)
    rates = []
    for _ in range(epochs):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return [*rates, scheduler.get_last_lr()[0]]


def keras_stopping(name: str) -> dict[str, Any]:
    """The epoch after which Keras stops (None: it does not) and whose weights it gives back."""
    import keras

    class Weights:
        """A model whose only weight is the number of the epoch."""

        stop_training = False
        epoch = 0

        def get_weights(self) -> int:
            return self.epoch

        def set_weights(self, weights: int) -> None:
            self.epoch = weights

    patience, min_delta, losses = STOPPINGS[name]
    callback = keras.callbacks.EarlyStopping(
        "loss", min_delta=min_delta, patience=patience, mode="min", restore_best_weights=True
    )
    model = Weights()
    callback._set_monitor_op()
    callback.set_model(model)
    callback.on_train_begin()
    stopped = None
    for epoch, loss in enumerate(losses):
        model.epoch = epoch + 1
        callback.on_epoch_end(epoch, {"loss": loss})
        if model.stop_training:
            stopped = model.epoch
            break
    callback.on_train_end()
    return {"stopped": stopped, "restored": model.epoch}


def main() -> None:
    import keras
    import sklearn
    import torch

    golden = {
        "made by": "tools/make_learning.py",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "torch": torch.__version__,
            "keras": keras.__version__,
        },
        "reports": {name: sklearn_report(name) for name in REPORTS},
        "StepLR": [
            torch_rates("StepLR", start, step_size=every, gamma=factor)
            for start, every, factor in STEPS
        ],
        "CosineAnnealingLR": [
            torch_rates("CosineAnnealingLR", start, epochs, T_max=epochs, eta_min=end)
            for start, epochs, end in COSINES
        ],
        "LinearWarmUp": [transformers_rates(*case) for case in WARM_UPS],
        "EarlyStopping": {name: keras_stopping(name) for name in STOPPINGS},
    }
    PLACE.write_text(json.dumps(golden, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
