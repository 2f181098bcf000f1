"""Batch normalization of a batch shared by several processes: its sums go over all parts."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array, Part
from minidl.layers._channelwise import by_channel, channels, dot, places, total


@by_channel
def sum_of_x(x, out):
    for c in channels(len(x)):
        out[c] = total(x[c])


@by_channel
def sum_of_squares(x, centred, mu, out):
    for c in channels(len(x)):
        for i in places(x.shape[1]):
            centred[c, i] = x[c, i] - mu[c]
        out[c] = dot(centred[c], centred[c])


@by_channel
def dx_of_sums(dy, x_hat, dx, gamma, s, dgamma, dbeta, m):
    for c in channels(len(dy)):
        for i in places(dy.shape[1]):
            dx[c, i] = gamma[c] / s[c] * (dy[c, i] - dbeta[c] / m - x_hat[c, i] * (dgamma[c] / m))


def mean_and_variance(part: Part, x: Array, centred: Array, mu: Array, v: Array, m: int) -> None:
    """μ and v (C,) of the m values of each channel; x (C, …) are those on this rank.

    Two sums over all parts, since E(x²) − μ² would cancel; x − μ is written to ``centred``.
    """
    sum_of_x(x, mu)
    mu[...] = part.add_up(mu) / m
    sum_of_squares(x, centred, mu, v)
    v[...] = part.add_up(v) / m


def input_gradient(
    part: Part,
    dy: Array,
    x_hat: Array,
    dx: Array,
    gamma: Array,
    s: Array,
    dgamma: Array,
    dbeta: Array,
    m: int,
) -> None:
    """dx (C, …) from dy and x̂ on this rank; dγ and dβ (C,) are the sums over these only."""
    dgamma, dbeta = part.add_up(np.stack([dgamma, dbeta]))
    dx_of_sums(dy, x_hat, dx, gamma, s, dgamma, dbeta, m)
