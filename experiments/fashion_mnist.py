"""Sigmoid against ReLU on Fashion-MNIST: a published comparison, as it was run and as described.

The text of the study describes a different network, optimizer and batch size from those of the run
that its figures come from.  Both are trained here, as well as two set-ups that differ from the run
in one respect each: Adam instead of plain SGD, and dropout, which the study's code also has.
``report.html`` in the output folder gives the verdict on each published claim.
"""

from studies import main

if __name__ == "__main__":
    main("fashion_mnist")
