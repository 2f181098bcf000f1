"""Adaptive piecewise linear units on CIFAR-10: a published study, as it was run and as described.

The number of hinges, APL against ReLU and leaky ReLU, the learned shapes, and the effect of depth;
with fewer images and smaller networks, for a CPU, unless ``--full`` asks for the study's size.
``report.html`` in the output folder gives the verdict on each published claim.
"""

from studies import main

if __name__ == "__main__":
    main("adaptive_activations")
