"""Sigmoid against ReLU in a small convolutional network on CIFAR-10: a published comparison.

The published sigmoid network stays at chance for four epochs and then begins to learn.  To find out
why, every layer is recorded between the steps, and sigmoid is trained again: with other seeds until
it leaves chance, and once with a smaller learning rate.  ``report.html`` in the output folder gives
the verdict on each published claim and shows what the plateau is.
"""

from studies import main

if __name__ == "__main__":
    main("cifar10_cnn")
