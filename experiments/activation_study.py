"""Five activation functions, two optimizers, MNIST and CIFAR-10: a published grid of training runs.

Each finished training run is saved at once and not repeated when the command is run again.
``report.html`` in the output folder gives the verdict on each published claim.
"""

from studies.activation_study import STUDY

if __name__ == "__main__":
    STUDY.main()
