"""Does a two-epoch run on CIFAR-100 look like the published one so far?"""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    summary = json.load(file)
relu, sigmoid = (summary["networks"][name] for name in ("relu", "sigmoid"))
checks = {
    "CIFAR-100 was used": summary["dataset"] == "cifar-100",
    "all training images were used": summary["train_images"] == 50_000,
    # published after two epochs: 0.1199 and 0.0544
    "ReLU's training accuracy is near the published one": 0.10 < relu["train_accuracy"][-1] < 0.16,
    "so is sigmoid's": 0.03 < sigmoid["train_accuracy"][-1] < 0.09,
    "ReLU is ahead on the test images": relu["test_accuracy"][-1] > sigmoid["test_accuracy"][-1],
}
for check, holds in checks.items():
    print(f"{'ok' if holds else 'FAILED':<8}{check}")
sys.exit(0 if all(checks.values()) else 1)
