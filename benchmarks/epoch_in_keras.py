"""One epoch of the published comparison in Keras, as the study ran it: epoch_in_keras.py DIR.

It prints what it did as JSON: steps and mean loss of the epoch, test accuracy, gradients.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from cifar100_floats import load

x, y, x_test, y_test = load(sys.argv[1])
y, y_test = (keras.utils.to_categorical(labels, 100) for labels in (y, y_test))
work = {}
for activation in ("sigmoid", "relu"):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(512, activation=activation) for _ in range(4)]
    output = keras.layers.Dense(100, activation="softmax")
    network = keras.Sequential([keras.Input((3072,)), *hidden, output])
    network.compile(
        optimizer=keras.optimizers.Adam(), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    history = network.fit(x, y, epochs=1, batch_size=64, verbose=0).history
    accuracy = network.evaluate(x_test, y_test, batch_size=1000, verbose=0)[1]
    with tf.GradientTape() as tape:
        p = network(x[:64], training=True)
        loss = keras.losses.categorical_crossentropy(y[:64], p)
        gradients = tape.gradient(loss, network.trainable_weights)
    work[activation] = {
        "steps": int(network.optimizer.iterations.numpy()),
        "loss": float(history["loss"][0]),
        "test_accuracy": float(accuracy),
        "gradients": [float(tf.reduce_mean(tf.abs(g))) for g in gradients],
    }
print(json.dumps(work))
