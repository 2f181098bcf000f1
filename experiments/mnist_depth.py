"""Two claims on MNIST that the CIFAR-100 study reports and makes: does sigmoid fail, and when?

A dense network 784-600-300-100-10 with ReLU is said to reach 0.92 where sigmoid stays at 0.11; with
which update rule is not said, so the usual ones are tried.  And MNIST is said to be too simple for
gradients to vanish in a network of four hidden layers, so that network is trained on it.
``report.html`` in the output folder says under which conditions each comes out.
"""

from studies.mnist_depth import STUDY

if __name__ == "__main__":
    STUDY.main()
