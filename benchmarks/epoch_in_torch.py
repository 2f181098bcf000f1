"""One epoch of the published comparison in PyTorch: python epoch_in_torch.py DIR."""

import itertools
import sys

import torch
from cifar100_floats import load
from torch import nn

x, y, x_test, y_test = map(torch.from_numpy, load(sys.argv[1]))
for activation in (nn.Sigmoid, nn.ReLU):
    torch.manual_seed(0)
    sizes = [3072, 512, 512, 512, 512]
    layers = [
        module
        for n_in, n_out in itertools.pairwise(sizes)
        for module in (nn.Linear(n_in, n_out), activation())
    ]
    network = nn.Sequential(*layers, nn.Linear(512, 100))
    loss = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
    for rows in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        loss(network(x[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        hits = sum(
            int((network(a).argmax(1) == b).sum())
            for a, b in zip(x_test.split(1000), y_test.split(1000), strict=True)
        )
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(x[:64]), y[:64], reduction="sum").backward()
    print(hits / len(x_test), [float(p.grad.abs().mean()) for p in network.parameters()])
