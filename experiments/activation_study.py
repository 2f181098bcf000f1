"""Five activation functions, two optimizers, MNIST and CIFAR-10: a published grid of training runs.

Each finished training run is saved at once and not repeated when the command is run again.
``report.html`` in the output folder gives the verdict on each published claim.
"""

from studies import main

if __name__ == "__main__":
    main("activation_study")
