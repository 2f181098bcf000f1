"""Sigmoid against ReLU on CIFAR-100: a published comparison, run again.

Two dense networks, 3072-512-512-512-512-100, that differ in nothing but the
activation function of their hidden layers, start from the same weights and see
the same batches.  After every epoch the gradients of each layer are recorded.
The results, and what becomes of each published claim, are written to the
output folder; ``report.html`` there is the place to begin.
"""

from studies.cifar100 import STUDY

if __name__ == "__main__":
    STUDY.main()
