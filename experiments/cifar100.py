"""Sigmoid against ReLU on CIFAR-100: a published comparison, rerun.

Two dense networks, 3072-512-512-512-512-100, that differ only in the
activation function of their hidden layers start from the same weights and see
the same batches.  After each epoch, the gradients of every layer are recorded.
The results and the verdict on each published claim are written to the output
folder; start with ``report.html``.
"""

from studies import main

if __name__ == "__main__":
    main("cifar100")
