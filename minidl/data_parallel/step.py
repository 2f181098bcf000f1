"""A training step whose batch several processes share: the plain one, and a sum over ranks.

Every rank draws the same order and the same masks as a single process would, and takes its slice
of each batch.  With L = (1/N) Σ_n L_n over the N examples of the batch, each rank computes the
gradient of 1/N times the sum over its own examples, so ∇θ is the sum over ranks, whatever their
numbers of examples; the mean of the ranks' means would be a different gradient if these differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minidl.backend import Array, Part, Random, checks
from minidl.data.examples import Examples
from minidl.data_parallel.ranks import Ranks, RanksError
from minidl.data_parallel.same import expect_same
from minidl.data_parallel.world import world
from minidl.inspection import INPUT, first_nonfinite
from minidl.layers import BatchNorm
from minidl.training.loop import Training, train_with
from minidl.training.software import Software
from minidl.training.start import digest, generators_of, start_of
from minidl.training.step import TrainingStep, step_on


def train(
    *parts: Any, ranks: Ranks | None = None, local_statistics: bool = False, **options: Any
) -> Training:
    """:func:`minidl.train` on ``ranks``, by default all."""
    ranks = world() if ranks is None else ranks
    checks.instance("train", "ranks", ranks, Ranks)
    if ranks.size == 1:
        return train_with(step_on, *parts, **options)
    make = partial(ParallelStep, ranks=ranks, local_statistics=local_statistics)
    return train_with(make, *parts, **options)


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
        self.leads = ranks.leads
        self.local_statistics = local_statistics
        if local_statistics:
            self._expect_batches(max(1, self.last_batch // ranks.size))
        # One message per step: ∇θ, then the number of ranks whose loss is not finite, and the
        # number of ranks that want to stop.
        P = network.theta.size
        self._message = np.zeros(P + 2, network.dtype)
        self._not_finite, self._stops = self._message[P:].reshape(2, 1)
        network.set_gradient_buffer(self._message[:P])
        self._settled = 0  # examples of the epoch whose losses and hits are known to all

    def begin(self, rng: np.random.Generator, **place: object) -> None:
        """Raise ``RanksError`` if this rank would train something different from the others."""
        network, optimizer = self.network, self.optimizer
        options = {"local statistics": self.local_statistics, "steps": optimizer.t, **place}
        software = Software.now().parts
        slots = [getattr(optimizer, name).tobytes() for name in optimizer.slots if optimizer.t]
        found = {
            "minidl": software["minidl"],
            "BLAS threads": software["BLAS threads"],
            "network": repr(network),
            **start_of(self, list(generators_of(self, rng))),
            "optimizer's vectors": digest(*slots),
            **{name: str(value) for name, value in options.items()},
        }
        expect_same(self.ranks, found, "start all of them with the same command, files and data")

    @contextmanager
    def epoch(self, order: np.ndarray, done: int = 0) -> Iterator[None]:
        self._settled = done * self.batch_size
        for table in (self.losses, self.hits):
            table[self._settled :] = 0
        with super().epoch(order, done):
            yield
        self.settle()

    def settle(self) -> None:
        """Collect the losses and hits of all ranks, and check that θ and the state are the same."""
        network = self.network
        new = slice(self._settled, self.done * self.batch_size)
        both = np.stack([self.losses[new], self.hits[new]])
        self.ranks.add_up(both)
        self.losses[new], self.hits[new] = both
        self._settled = new.stop
        if self.local_statistics:
            network.state[...] = self.ranks.first(network.state)
        found = {"parameters": digest(network.theta.tobytes(), network.state.tobytes())}
        expect_same(self.ranks, found, "use processors of one kind and the same software")

    def meet(self) -> None:
        self.ranks.gather(None)

    def is_stopped(self) -> bool:
        return bool(self._stops[0])

    def _compute(
        self, rows: Array, losses: Array, hits: Array, now: Sequence[Any] | None = None
    ) -> None:
        """As on one device, but ``losses`` and ``hits`` only get those of this rank's examples."""
        network, loss = self.network, self.loss
        part = self._part(len(rows))
        state = network.state.copy()
        with self._sharing(part), np.errstate(over="ignore", invalid="ignore"):
            x, targets = self._draw(rows, part.rows)
            logits = network.forward(x, training=True)
            mine, dlogits = loss.value_terms(logits, targets, divisor=part.size)
            network.backward(dlogits)
            if self._is_idle(part.size):
                network.dtheta[...] = 0
            else:
                losses[part.rows] = mine
                hits[part.rows] = loss.correct(logits, targets)
            self._not_finite[...] = not np.isfinite(mine).all()
            self._stops[...] = super().is_stopped()
            self.ranks.add_up(self._message)
            self._check(rows, losses, state)
            self.optimizer.step(network.theta, network.dtheta, now)

    # -- the part of a batch ----------------------------------------------------------------------

    def _is_idle(self, size: int) -> bool:
        """Whether a batch has no example for this rank, which then computes one without effect."""
        return size <= self.ranks.rank

    def _part(self, size: int) -> Part:
        """The slice of a batch: the first ranks have one more example if it is uneven."""
        each, more = divmod(size, self.ranks.size)
        rank, idle = self.ranks.rank, self._is_idle(size)
        start = 0 if idle else rank * each + min(rank, more)
        stop = start + max(1, each + (rank < more))

        def add_up(array: Array) -> Array:
            total = np.zeros_like(array) if idle else array.copy()
            self.ranks.add_up(total)
            return total

        return Part(size, slice(start, stop), add_up)

    @contextmanager
    def _sharing(self, part: Part) -> Iterator[None]:
        """A context in which layers that draw for the batch or sum over it know their part."""
        owners: list[Any] = [*self.network.walk(), *([self.augment] if self._by_part else [])]
        if self.local_statistics:
            owners = [one for one in owners if not isinstance(one, BatchNorm)]
        for owner in owners:
            owner.part = part
        try:
            yield
        finally:
            for owner in owners:
                owner.part = None

    def _draw(self, rows: Array, here: slice) -> tuple[Array, Array]:
        """This rank's examples; taken from the whole batch if they depend on one another."""
        dtype = self.network.dtype
        if type(self.examples) is Examples and (self.augment is None or self._by_part):
            return self.examples.draw(rows[here], dtype, self.augment)
        x, targets = self.examples.draw(rows, dtype, self.augment)
        return x[here], targets[here]

    @property
    def _by_part(self) -> bool:
        """Whether the augmentation can process a part of a batch alone."""
        return isinstance(self.augment, Random) and type(self.examples) is Examples

    # -- a loss that is not finite ----------------------------------------------------------------

    def _check(self, rows: Array, losses: Array, state: Array) -> None:
        """Report a loss that is not finite on some rank on all ranks, in the same words."""
        if self._not_finite[0]:
            places = self.ranks.gather(first_nonfinite(self.network))
            losses = losses.copy()
            self.ranks.add_up(losses)
            self._give_up(rows, losses, state, self._earliest(places))

    def _earliest(self, places: list[str | None]) -> str | None:
        """Of the places where it first appears on each rank, that in the earliest layer.

        Sums over the batch carry it from one rank to all.
        """
        names = ["", *(layer.name for layer in self.network.walk())]  # "" is the input
        found = [place for place in places if place is not None]
        layers = [names.index("" if one == INPUT else one.rpartition(".")[0]) for one in found]
        return found[layers.index(min(layers))] if found else None
