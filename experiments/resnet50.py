"""Five activation functions in ResNet-50: does its gradient vanish with Adam on MNIST?

A quarter of the study's width and few of its images, unless ``--full`` asks for all (on a GPU).
Each finished training run is saved at once and not repeated when the command is run again.
"""

from studies import main

if __name__ == "__main__":
    main("resnet50")
