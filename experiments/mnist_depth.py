"""Two claims of the CIFAR-100 study about MNIST: does sigmoid fail, and do gradients vanish?

A dense network 784-600-300-100-10 is said to reach 0.92 with ReLU where sigmoid stays at 0.11; the
update rule is not given, so the usual ones are tried.  MNIST is also said to be too simple for
gradients to vanish in a network with four hidden layers, so that network is trained on it.
``report.html`` in the output folder says under which conditions each claim holds.
"""

from studies import main

if __name__ == "__main__":
    main("mnist_depth")
