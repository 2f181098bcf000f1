"""Sigmoid against ReLU in a small convolutional network on CIFAR-10: a published comparison.

The published sigmoid network answers at random for four epochs and then begins to learn.  So
snapshots of every layer are taken between the steps, sigmoid is trained again with other seeds
until it moves, and once with a smaller learning rate.  ``report.html`` in the output folder says
what becomes of each published claim, and what the plateau is.
"""

from studies.cifar10_cnn import STUDY

if __name__ == "__main__":
    STUDY.main()
