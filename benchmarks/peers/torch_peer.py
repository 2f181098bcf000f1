"""PyTorch: eager with its default or its fused Adam, or the whole step compiled."""

import torch


class TorchPeer:
    def __init__(self, problem, fused, compiled):
        activation = {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[problem.activation]
        layers = []
        for W, b in zip(problem.weights[::2], problem.weights[1::2], strict=True):
            linear = torch.nn.Linear(*W.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T))
                linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, activation()]
        self.network = torch.nn.Sequential(*layers[:-1])
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
