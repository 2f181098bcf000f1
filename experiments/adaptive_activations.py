"""Adaptive piecewise linear units on CIFAR-10: a published study, as it was run and as described.

How many hinges, APL against ReLU and leaky ReLU, what shapes are learned, and what depth
changes.  On a processor with fewer images and smaller networks; ``--full`` is the study's size.
``report.html`` in the output folder says what becomes of each published claim.
"""

from studies.adaptive_activations import STUDY

if __name__ == "__main__":
    STUDY.main()
