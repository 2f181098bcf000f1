"""One epoch of the published comparison in PyTorch: python epoch_in_torch.py DIR.

It prints what it did as JSON: steps and mean loss of the epoch, test accuracy, gradients.
"""

import itertools
import json
import sys

import torch
from cifar100_floats import load
from torch import nn

x, y, x_test, y_test = map(torch.from_numpy, load(sys.argv[1]))
work = {}
for name, activation in (("sigmoid", nn.Sigmoid), ("relu", nn.ReLU)):
    torch.manual_seed(0)
    sizes = [3072, 512, 512, 512, 512]
    layers = [
        module
        for n_in, n_out in itertools.pairwise(sizes)
        for module in (nn.Linear(n_in, n_out), activation())
    ]
    network = nn.Sequential(*layers, nn.Linear(512, 100))
    for layer in network[::2]:  # as in the study
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    loss = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
    total = torch.zeros(())
    for rows in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        value = loss(network(x[rows]), y[rows])
        value.backward()
        optimizer.step()
        total += value.detach() * len(rows)
    with torch.no_grad():
        hits = sum(
            int((network(a).argmax(1) == b).sum())
            for a, b in zip(x_test.split(1000), y_test.split(1000), strict=True)
        )
    steps = max(int(state["step"]) for state in optimizer.state.values())
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(x[:64]), y[:64], reduction="sum").backward()
    work[name] = {
        "steps": steps,
        "loss": float(total) / len(x),
        "test_accuracy": hits / len(x_test),
        "gradients": [float(p.grad.abs().mean()) for p in network.parameters()],
    }
print(json.dumps(work))
