"""JAX: the whole step under jit, parameters and moments donated."""

import functools

import jax
import jax.numpy as jnp


def mean_loss(parameters, images, labels, rows, activation):
    a = images[rows].astype(jnp.float32) / 255
    *hidden, (W, b) = parameters
    for V, c in hidden:
        a = activation(a @ V + c)
    logits = a @ W + b
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, labels[rows][:, None], axis=1).mean()


@functools.partial(jax.jit, donate_argnums=(0,), static_argnames="activation")
def train_step(state, images, labels, rows, activation):
    parameters, m, v, t = state
    gradients = jax.grad(mean_loss)(parameters, images, labels, rows, activation)
    t = t + 1
    each = jax.tree_util.tree_map
    m = each(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
    v = each(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
    correction = jnp.sqrt(1 - 0.999**t)
    eta_t = 1e-3 * correction / (1 - 0.9**t)
    parameters = each(
        lambda p, m, v: p - eta_t * m / (jnp.sqrt(v) + 1e-8 * correction), parameters, m, v
    )
    return parameters, m, v, t


class JaxPeer:
    def __init__(self, problem, device="cpu"):
        jax.config.update("jax_default_device", jax.devices(device)[0])
        self.activation = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[problem.activation]
        pairs = list(zip(problem.weights[::2], problem.weights[1::2], strict=True))
        parameters = [(jnp.array(W), jnp.array(b)) for W, b in pairs]
        zeros = [[(jnp.zeros(W.shape), jnp.zeros(b.shape)) for W, b in pairs] for _ in range(2)]
        self.state = (parameters, zeros[0], zeros[1], jnp.float32(0))
        self.images = jnp.array(problem.images)
        self.labels = jnp.array(problem.labels.astype("int32"))

    def versions(self):
        return {"jax": jax.__version__}

    def run(self, rows):
        for batch in rows.astype("int32"):
            self.state = train_step(self.state, self.images, self.labels, batch, self.activation)
        jax.block_until_ready(self.state)

    def steps(self):
        return int(self.state[3])

    def loss(self, rows):
        rows = rows.astype("int32")
        return float(mean_loss(self.state[0], self.images, self.labels, rows, self.activation))


make = JaxPeer
