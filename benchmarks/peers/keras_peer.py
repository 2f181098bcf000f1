"""Keras on TensorFlow: ``fit`` over float32 images, as the study ran it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf

threads = int(os.environ["OMP_NUM_THREADS"])
tf.config.threading.set_intra_op_parallelism_threads(threads)


class KerasPeer:
    def __init__(self, problem):
        sizes = [b.size for b in problem.weights[1::2]]
        self.batch_size = problem.batch_size
        self.x = problem.images.astype("float32") / 255
        self.labels = problem.labels
        layers = [keras.layers.Dense(n, activation=problem.activation) for n in sizes[:-1]]
        self.network = keras.Sequential(
            [keras.Input((self.x.shape[1],)), *layers, keras.layers.Dense(sizes[-1])]
        )
        self.network.set_weights(problem.weights)
        self.network.compile(
            optimizer=keras.optimizers.Adam(learning_rate=1e-3, epsilon=1e-8),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def versions(self):
        return {"keras": keras.__version__, "tensorflow": tf.__version__}

    def run(self, rows):
        rows = rows.ravel()
        x, labels = self.x[rows], self.labels[rows]
        self.network.fit(x, labels, batch_size=self.batch_size, shuffle=False, verbose=0)

    def steps(self):
        return int(self.network.optimizer.iterations.numpy())

    def loss(self, rows):
        x, labels = self.x[rows], self.labels[rows]
        return float(self.network.evaluate(x, labels, batch_size=len(rows), verbose=0))


make = KerasPeer
