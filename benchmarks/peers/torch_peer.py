"""PyTorch: eager with its default or its fused Adam, or the whole step compiled."""

import torch
from torch import nn


def layers(problem):
    activation = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[problem.activation]
    convolutions = [W for W in problem.weights if W.ndim == 4]
    *hidden, last = [W for W in problem.weights if W.ndim == 2]
    for W in convolutions:
        yield from (nn.Conv2d(W.shape[1], W.shape[0], W.shape[2:]), activation(), nn.MaxPool2d(2))
    if convolutions:
        yield nn.Flatten()
    for W in hidden:
        yield from (nn.Linear(*W.shape), activation())
    yield nn.Linear(*last.shape)


class TorchPeer:
    def __init__(self, problem, fused, compiled):
        self.network = torch.nn.Sequential(*layers(problem))
        parameters = list(self.network.parameters())
        with torch.no_grad():
            for parameter, given in zip(parameters, problem.weights, strict=True):
                parameter.copy_(torch.from_numpy(given.T if given.ndim == 2 else given))
        options = {"fused": True} if fused else {}
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3, eps=1e-8, **options)
        self.images = torch.from_numpy(problem.images)
        self.labels = torch.from_numpy(problem.labels)
        self.gradients = torch.compile(self._gradients) if compiled else self._gradients

    def versions(self):
        return {"torch": torch.__version__}

    def _mean_loss(self, rows):
        x = self.images[rows].float().div_(255)
        return torch.nn.functional.cross_entropy(self.network(x), self.labels[rows])

    def _gradients(self, rows):
        self._mean_loss(rows).backward()

    def run(self, rows):
        for batch in torch.from_numpy(rows):
            self.optimizer.zero_grad(set_to_none=True)
            self.gradients(batch)
            self.optimizer.step()

    def loss(self, rows):
        with torch.no_grad():
            return float(self._mean_loss(torch.from_numpy(rows)))


make = TorchPeer
