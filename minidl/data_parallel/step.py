"""A training step whose batch several processes share: the plain one, and a sum over ranks.

Every rank draws the same order and the same masks as a single process would, and takes its slice
of each batch.  With L = (1/N) Σ_n L_n over the N examples of the batch, each rank computes the
gradient of 1/N times the sum over its own examples, so ∇θ is the sum over ranks, whatever their
numbers of examples; the mean of the ranks' means would be a different gradient if these differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minidl.backend import Array, Random, checks
from minidl.data.examples import Examples
from minidl.data_parallel.ranks import Ranks, RanksError
from minidl.data_parallel.same import assert_ranks_agree
from minidl.data_parallel.world import world
from minidl.inspection import INPUT, first_nonfinite
from minidl.losses import Loss
from minidl.network import Network
from minidl.optimizers import Optimizer
from minidl.training import loop
from minidl.training.loop import Training
from minidl.training.software import Software
from minidl.training.start import digest, generators_of, start_of
from minidl.training.step import TrainingStep, step_on


def train(
    network: Network,
    examples: Examples,
    loss: Loss,
    optimizer: Optimizer,
    *,
    ranks: Ranks | None = None,
    local_statistics: bool = False,
    **options: Any,
) -> Training:
    """:func:`minidl.train`, where several processes share each batch of ``batch_size`` examples.

    They end with the same parameters, those of a single process but for rounding.  All of them
    must make this call, with the same ``options``, which are those of :func:`minidl.train`.

    Parameters
    ----------
    ranks : those that take part, by default all that ``mpiexec`` has started; ``Ranks()`` is this
        process alone
    local_statistics : whether BatchNorm only sees the examples of its own rank

    Raises
    ------
    RanksError
        if ``mpiexec`` has started processes that cannot work together, or that would train
        with different weights, options or examples; and what :func:`minidl.train` raises.
    """
    ranks = world() if ranks is None else ranks
    checks.instance("train", "ranks", ranks, Ranks)
    checks.boolean("train", "local_statistics", local_statistics)
    make_step = step_on
    if ranks.size > 1:
        make_step = partial(ParallelStep, ranks=ranks, local_statistics=local_statistics)
    return loop.train(network, examples, loss, optimizer, make_step=make_step, **options)


class ParallelStep(TrainingStep):
    """The same step on several ranks, after which all have the same θ and state, to the bit."""

    def __init__(self, *parts: Any, ranks: Ranks, local_statistics: bool = False) -> None:
        super().__init__(*parts)
        network = self.network
        if network.device.is_cuda:
            raise RanksError(
                f"train: expected the device cpu on {ranks.size} ranks, got {network.device}; "
                "several GPUs are not supported"
            )
        if self.batch_size < ranks.size:
            raise RanksError(
                f"train: expected batch_size >= {ranks.size}, an example for each rank, "
                f"got {self.batch_size}"
            )
        self.ranks = ranks
        self.is_root = ranks.is_root
        self.local_statistics = local_statistics
        if local_statistics:
            self._expect_batches(max(1, self.last_batch // ranks.size))
        # One message per step: ∇θ, then the number of ranks whose loss is not finite, and the
        # number of ranks that want to stop.
        P = network.theta.size
        self._message = np.zeros(P + 2, network.dtype)
        self._not_finite, self._stops = self._message[P:].reshape(2, 1)
        network.set_gradient_buffer(self._message[:P])
        self._known = 0  # examples of the epoch whose losses all ranks know

    def compute(self, rows: Array) -> None:
        """The plain step on this rank's examples, with a sum over ranks before the update."""
        network, here = self.network, self.rows_here(len(rows))
        with self._sharing(len(rows), here):
            x, t = self._draw(rows, here)
            logits = network.forward(x, training=True)
            losses, dlogits = self.loss.per_example(logits, t)
            network.backward(dlogits / len(rows))
        if self.is_idle(len(rows)):
            network.dtheta[...] = 0
        else:
            self.losses[self.batch][here] = losses
            self.correct[self.batch][here] = self.loss.correct(logits, t)
        self._not_finite[...] = not np.isfinite(losses).all()
        self._stops[...] = super().is_stopped()
        self.ranks.all_reduce(self._message)
        if self._not_finite[0]:
            self._raise_on_all_ranks()
        self.optimizer.step(network.theta, network.dtheta)

    def check_ranks(self, rng: np.random.Generator, **position: object) -> None:
        """Raise ``RanksError`` if this rank would train something different from the others."""
        network, optimizer = self.network, self.optimizer
        options = {"local statistics": self.local_statistics, "steps": optimizer.t, **position}
        software = Software.now().parts
        slots = [getattr(optimizer, name) for name in optimizer.slots if optimizer.t]
        found = {
            "minidl": software["minidl"],
            "BLAS threads": software["BLAS threads"],
            "network": repr(network),
            **start_of(self, list(generators_of(self, rng))),
            "optimizer's vectors": digest(*slots),
            **{name: str(value) for name, value in options.items()},
        }
        hint = "start all of them with the same command, files and data"
        assert_ranks_agree(self.ranks, found, hint)

    @contextmanager
    def epoch(self, order: np.ndarray, done: int = 0) -> Iterator[None]:
        self._known = done * self.batch_size
        for table in (self.losses, self.correct):
            table[self._known :] = 0
        with super().epoch(order, done):
            yield
        self.synchronize()

    def synchronize(self) -> None:
        """Collect the losses of all ranks, and check that θ and the state are the same."""
        network = self.network
        new = slice(self._known, self.done * self.batch_size)
        both = np.stack([self.losses[new], self.correct[new]])
        self.ranks.all_reduce(both)
        self.losses[new], self.correct[new] = both
        self._known = new.stop
        if self.local_statistics:
            network.state[...] = self.ranks.broadcast(network.state)
        found = {"parameters": digest(network.theta, network.state)}
        assert_ranks_agree(self.ranks, found, "use processors of one kind and the same software")

    def barrier(self) -> None:
        self.ranks.gather(None)

    def is_stopped(self) -> bool:
        return bool(self._stops[0])

    # -- this rank's rows of a batch --------------------------------------------------------------

    def is_idle(self, size: int) -> bool:
        """Whether a batch has no example for this rank, which then computes one without effect."""
        return size <= self.ranks.rank

    def rows_here(self, size: int) -> slice:
        """The slice of a batch: the first ranks have one more example if it is uneven."""
        if self.is_idle(size):
            return slice(0, 1)
        each, more = divmod(size, self.ranks.size)
        start = self.ranks.rank * each + min(self.ranks.rank, more)
        return slice(start, start + each + (self.ranks.rank < more))

    @contextmanager
    def _sharing(self, size: int, here: slice) -> Iterator[None]:
        """A context in which layers sum over the whole batch, and draw for all of it."""
        owners: list[Any] = [*self.network.walk(), *([self.augment] if self._by_rows else [])]
        shared: dict[str, Any] = {"batch_rows": (size, here)}
        if not self.local_statistics:
            shared["sum_over_batch"] = partial(self._sum_over_batch, self.is_idle(size))
        given = [(o, name) for o in owners for name in shared if hasattr(o, name)]
        for owner, name in given:
            setattr(owner, name, shared[name])
        try:
            yield
        finally:
            for owner, name in given:
                delattr(owner, name)  # and so that of the class is back

    def _sum_over_batch(self, is_idle: bool, *sums: Any) -> tuple[Any, ...]:
        """Arrays and counts over the examples here as those over the batch, in one message."""
        flat = [np.ravel(one) for one in sums]
        message = np.concatenate(flat)  # in float64, if a count is among them
        if is_idle:
            message[...] = 0
        self.ranks.all_reduce(message)
        parts = np.split(message, np.cumsum([len(one) for one in flat[:-1]]))
        return tuple(
            part.reshape(one.shape).astype(one.dtype) if np.ndim(one) else type(one)(part[0])
            for one, part in zip(sums, parts, strict=True)
        )

    def _draw(self, rows: Array, here: slice) -> tuple[Array, Array]:
        """This rank's examples; taken from the whole batch if they depend on one another."""
        dtype = self.network.dtype
        if type(self.examples) is Examples and (self.augment is None or self._by_rows):
            return self.examples.draw(rows[here], dtype, self.augment)
        x, targets = self.examples.draw(rows, dtype, self.augment)
        return x[here], targets[here]

    @property
    def _by_rows(self) -> bool:
        """Whether the augmentation can process some rows of a batch alone."""
        return isinstance(self.augment, Random) and type(self.examples) is Examples

    # -- a loss that is not finite ----------------------------------------------------------------

    def _raise_on_all_ranks(self) -> None:
        """Report a loss that is not finite on some rank on all of them, in the same words."""
        places = self.ranks.gather(first_nonfinite(self.network))
        losses = self.losses[self.batch].copy()
        self.ranks.all_reduce(losses)
        self.raise_nonfinite(losses, self._earliest(places))

    def _earliest(self, places: list[str | None]) -> str | None:
        """Of the places where it first appears on each rank, that in the earliest layer.

        Sums over the batch carry it from one rank to all.
        """
        names = ["", *(layer.name for layer in self.network.walk())]  # "" is the input
        found = [place for place in places if place is not None]
        layers = [names.index("" if one == INPUT else one.rpartition(".")[0]) for one in found]
        return found[layers.index(min(layers))] if found else None
