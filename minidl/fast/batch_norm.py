"""Batch normalization, compiled: a channel stays in the cache from its sums to its result."""

# mypy: disable-error-code="no-untyped-def, name-defined, attr-defined"
# ruff: noqa: F821  # channels, total and dot are named by over_channels

from __future__ import annotations

import numpy as np
from numpy import sqrt

from minidl.backend import Array
from minidl.fast.channels import are_rows, over_channels
from minidl.layers._channelwise import channel_rows, empty_with_rows
from minidl.layers.batch_norm import BatchNorm


def forward_rows(norm: BatchNorm, x: Array, y: Array, training: bool) -> None:
    """:meth:`BatchNorm.forward_rows`."""
    if not are_rows(x, y):
        BatchNorm.forward_rows.__wrapped__(norm, x, y, training)
        return
    norm.training = training
    norm.x_hat, x_hat = empty_with_rows(norm.x)
    norm.s, mu, v = np.empty((3, norm.channels), x.dtype)
    measure = training and _is_alone(norm)
    if measure:
        norm.m = x.shape[1]
        norm.expect_several(norm.m)
    else:
        mu, v = norm.moments(x) if training else (norm.running_mean, norm.running_variance)
    numbers = x.shape[1], norm.epsilon, measure
    normalize(x, x_hat, y, norm.gamma, norm.beta, mu, v, norm.s, *numbers)
    if training:
        norm.update_running(mu, v)


def moments(norm: BatchNorm, x: Array) -> tuple[Array, Array]:
    """:meth:`BatchNorm.moments`, where several processes share the batch."""
    if not are_rows(x):
        return BatchNorm.moments.__wrapped__(norm, x)
    mu, v = np.empty((2, norm.channels), x.dtype)
    sum_of_x(x, mu)
    mu, norm.m = norm.sum_over_batch(mu, x.shape[1])
    norm.expect_several(norm.m)
    mu = mu / norm.m
    sum_of_squares(x, np.empty_like(x), mu, v)
    (v,) = norm.sum_over_batch(v)
    return mu, v / norm.m


def backward_rows(norm: BatchNorm, dy: Array, dx: Array | None) -> None:
    """:meth:`BatchNorm.backward_rows`."""
    x_hat = channel_rows(norm.x_hat)
    if not are_rows(dy, dx, x_hat):
        BatchNorm.backward_rows.__wrapped__(norm, dy, dx)
        return
    sums, scale = (norm.dbeta, norm.dgamma), norm.gamma / norm.s
    if dx is None:
        gradient_sums(dy, x_hat, *sums)
    elif norm.training and _is_alone(norm):
        gradients(dy, x_hat, dx, scale, *sums, norm.m)
    else:
        gradient_sums(dy, x_hat, *sums)
        input_gradient(dy, x_hat, dx, scale, *norm.batch_means(*sums))


def _is_alone(norm: BatchNorm) -> bool:
    """Whether sums over the examples here are those over the batch, as the class has it."""
    return all(
        getattr(getattr(norm, name), "__func__", None) is getattr(BatchNorm, name)
        for name in ("moments", "batch_means", "sum_over_batch")
    )


@over_channels
def normalize(x, x_hat, y, gamma, beta, mu, v, s, m, epsilon, measure):
    for c in channels(len(x)):
        if measure:
            mu[c] = total(x[c]) / m
        for i in range(x.shape[1]):
            x_hat[c, i] = x[c, i] - mu[c]
        if measure:
            v[c] = dot(x_hat[c], x_hat[c]) / m
        s[c] = sqrt(v[c] + epsilon)
        for i in range(x.shape[1]):
            x_hat[c, i] /= s[c]
            y[c, i] = gamma[c] * x_hat[c, i] + beta[c]


@over_channels
def sum_of_x(x, sums):
    for c in channels(len(x)):
        sums[c] = total(x[c])


@over_channels
def sum_of_squares(x, centred, mu, sums):
    for c in channels(len(x)):
        for i in range(x.shape[1]):
            centred[c, i] = x[c, i] - mu[c]
        sums[c] = dot(centred[c], centred[c])


@over_channels
def gradients(dy, x_hat, dx, scale, dbeta, dgamma, m):
    for c in channels(len(dy)):
        dbeta[c] = total(dy[c])
        dgamma[c] = dot(dy[c], x_hat[c])
        for i in range(dy.shape[1]):
            dx[c, i] = scale[c] * (dy[c, i] - dbeta[c] / m - x_hat[c, i] * (dgamma[c] / m))


@over_channels
def gradient_sums(dy, x_hat, dbeta, dgamma):
    for c in channels(len(dy)):
        dbeta[c] = total(dy[c])
        dgamma[c] = dot(dy[c], x_hat[c])


@over_channels
def input_gradient(dy, x_hat, dx, scale, mean_dy, mean_dy_x):
    for c in channels(len(dy)):
        for i in range(dy.shape[1]):
            dx[c, i] = scale[c] * (dy[c, i] - mean_dy[c] - x_hat[c, i] * mean_dy_x[c])
