"""PyTorch: eager with its default or its fused Adam, compiled, or captured as a CUDA graph."""

import torch
from torch import nn

from peers import RESNETS


class Block(nn.Module):
    """branch(x) + shortcut(x), two convolutions of 3x3 beside the identity or one of 1x1."""

    def __init__(self, n_in, n_out, stride, activation):
        super().__init__()
        self.branch = nn.Sequential(
            *[nn.Conv2d(n_in, n_out, 3, stride, 1), nn.BatchNorm2d(n_out), activation()],
            *[nn.Conv2d(n_out, n_out, 3, 1, 1), nn.BatchNorm2d(n_out)],
        )
        self.shortcut = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out))

    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


def residual(width, activation):
    yield from (nn.Conv2d(3, width, 3, 1, 1), nn.BatchNorm2d(width), activation())
    yield from (Block(width, width, 1, activation), activation())
    yield from (Block(width, 2 * width, 2, activation), activation())
    yield from (Block(2 * width, 4 * width, 2, activation), activation())
    yield from (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10))


def layers(problem):
    activation = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[problem.activation]
    if problem.kind == "residual":
        yield from residual(len(problem.weights[0]), activation)
        return
    convolutions = [W for W in problem.weights if W.ndim == 4]
    *hidden, last = [W for W in problem.weights if W.ndim == 2]
    for W in convolutions:
        yield from (nn.Conv2d(W.shape[1], W.shape[0], W.shape[2:]), activation(), nn.MaxPool2d(2))
    if convolutions:
        yield nn.Flatten()
    for W in hidden:
        yield from (nn.Linear(*W.shape), activation())
    yield nn.Linear(*last.shape)


def network(problem):
    if problem.kind in RESNETS:
        from torch_resnet import torchvision_resnet

        name, options = RESNETS[problem.kind]
        f = {"relu": lambda: nn.ReLU(inplace=True), "sigmoid": nn.Sigmoid}[problem.activation]
        return torchvision_resnet(name, 10, problem.images.shape[1], f=f, **options)
    return nn.Sequential(*layers(problem))


class TorchPeer:
    def __init__(self, problem, fused, compiled, device="cpu", graph=False):
        self.device = torch.device(device)
        self.network = network(problem)
        parameters = list(self.network.parameters())
        with torch.no_grad():
            for parameter, given in zip(parameters, problem.weights, strict=True):
                parameter.copy_(torch.from_numpy(given.T if given.ndim == 2 else given))
        self.network.to(self.device)
        options = {"fused": True} if fused else {}
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=1e-3, eps=1e-8, capturable=graph, **options
        )
        self.images = torch.from_numpy(problem.images).to(self.device)
        self.labels = torch.from_numpy(problem.labels).to(self.device)
        mode = "default" if device == "cpu" else "reduce-overhead"
        self.mean_loss = self._mean_loss
        if compiled:
            self.mean_loss = torch.compile(self._mean_loss, mode=mode)
        self.step = self._graph_step(problem.batch_size) if graph else self._step

    def versions(self):
        return {"torch": torch.__version__}

    def _mean_loss(self, rows):
        x = self.images[rows].float().div_(255)
        return torch.nn.functional.cross_entropy(self.network(x), self.labels[rows])

    def _step(self, rows):
        self.optimizer.zero_grad(set_to_none=True)
        self.mean_loss(rows).backward()
        self.optimizer.step()

    def _graph_step(self, batch_size):
        """The step captured after a warm-up, whose traces in weights and moments are removed."""
        rows = torch.zeros(batch_size, dtype=torch.int64, device=self.device)
        weights = [parameter.detach().clone() for parameter in self.network.parameters()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step(rows)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self.mean_loss(rows).backward()
            self.optimizer.step()
        with torch.no_grad():
            for parameter, start in zip(self.network.parameters(), weights, strict=True):
                parameter.copy_(start)
            for state in self.optimizer.state.values():
                for value in state.values():
                    value.zero_()

        def step(batch):
            rows.copy_(batch)
            graph.replay()

        return step

    def run(self, rows):
        batches = torch.from_numpy(rows).to(self.device)
        if self.device.type == "cpu":
            for batch in batches:
                self.step(batch)
            return None
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for batch in batches:
            self.step(batch)
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    def steps(self):
        return max(int(state["step"]) for state in self.optimizer.state.values())

    def loss(self, rows):
        with torch.no_grad():
            return float(self._mean_loss(torch.from_numpy(rows).to(self.device)))


make = TorchPeer
