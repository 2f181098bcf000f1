"""minidl: the steps of ``minidl.training.train``."""

import numpy as np

import minidl
from minidl import (
    ActivationLayer,
    Adam,
    BatchNorm,
    Conv2D,
    Dense,
    Examples,
    Flatten,
    GlobalAveragePool2D,
    MaxPool2D,
    Network,
    Residual,
    SoftmaxCrossEntropy,
    models,
)
from minidl.data_parallel import world
from minidl.data_parallel.step import ParallelStep
from minidl.fast import mkl
from minidl.gpu.step import step_on
from peers import RESNETS


def block(n_in, n_out, stride, f):
    """branch(x) + shortcut(x), two convolutions of 3x3 beside the identity or one of 1x1."""
    branch = [
        *[Conv2D(n_in, n_out, 3, stride, 1), BatchNorm(n_out), ActivationLayer(f)],
        *[Conv2D(n_out, n_out, 3, 1, 1), BatchNorm(n_out)],
    ]
    shortcut = [Conv2D(n_in, n_out, 1, stride), BatchNorm(n_out)] if stride > 1 else None
    return Residual(branch, shortcut)


def residual(width, f):
    """A small ResNet for images of 32x32: three blocks, each but the first half as large."""
    yield from (Conv2D(3, width, 3, 1, 1), BatchNorm(width), ActivationLayer(f))
    yield from (block(width, width, 1, f), ActivationLayer(f))
    yield from (block(width, 2 * width, 2, f), ActivationLayer(f))
    yield from (block(2 * width, 4 * width, 2, f), ActivationLayer(f))
    yield from (GlobalAveragePool2D(), Dense(4 * width, 10))


def layers(problem):
    f = problem.activation
    if problem.kind == "residual":
        yield from residual(len(problem.weights[0]), f)
        return
    convolutions = [W for W in problem.weights if W.ndim == 4]
    *hidden, last = [W for W in problem.weights if W.ndim == 2]
    for W in convolutions:
        yield from (Conv2D(W.shape[1], W.shape[0], W.shape[2:], activation=f), MaxPool2D(2))
    if convolutions:
        yield Flatten()
    for W in hidden:
        yield Dense(*W.shape, f)
    yield Dense(*last.shape)


def network(problem, device):
    if problem.kind in RESNETS:
        name, options = RESNETS[problem.kind]
        _, channels, size, _ = problem.images.shape
        make = getattr(models, name)
        return make(10, channels, problem.activation, size=size, device=device, **options)
    return Network(list(layers(problem)), problem.images.shape[1:], device=device)


class MinidlPeer:
    def __init__(self, problem, device="cpu", graph=True, ranks=None, with_mkl=False):
        if with_mkl and mkl.library() is None:
            raise ImportError("mkl is not installed")
        self.network = network(problem, device)
        theta = np.concatenate([value.ravel() for value in problem.weights])
        self.network.theta[...] = self.network.device.asarray(theta)
        self.loss_function = SoftmaxCrossEntropy()
        examples = Examples(problem.images, problem.labels)
        parts = (self.network, examples, self.loss_function, Adam(), problem.batch_size)
        ranks = world() if ranks is None else ranks
        if ranks.size == 1:
            self.step = step_on(*parts, graph=graph)
        else:
            self.step = ParallelStep(*parts, ranks=ranks)

    def versions(self):
        found = {"minidl": minidl.__version__, "numpy": np.__version__}
        if self.network.device.is_cuda:
            found["cupy"] = self.network.device.xp.__version__
        return found

    def run(self, rows):
        most = len(self.step.examples) // self.step.batch_size  # steps of an epoch
        seconds = [self._epoch(rows[i : i + most]) for i in range(0, len(rows), most)]
        return sum(seconds) if self.network.device.is_cuda else None

    def _epoch(self, rows):
        # An epoch goes through all examples: these rows first, and it ends after them.
        order = np.zeros(len(self.step.examples), np.int64)
        order[: rows.size] = rows.ravel()
        with self.step.epoch(order):
            if not self.network.device.is_cuda:
                for _ in rows:
                    self.step()
                return None
            cuda = self.network.device.xp.cuda
            start = cuda.get_current_stream().record()
            for _ in rows:
                self.step()
            end = cuda.get_current_stream().record()
            end.synchronize()
        return cuda.get_elapsed_time(start, end) / 1e3

    def steps(self):
        return self.step.optimizer.t

    def loss(self, rows):
        examples, device = self.step.examples, self.network.device
        x, labels = examples.draw(device.asarray(rows), self.network.dtype)
        logits = self.network.forward(x, training=True)  # BatchNorm as in a step
        return float(self.loss_function(logits, labels)[0])


make = MinidlPeer
