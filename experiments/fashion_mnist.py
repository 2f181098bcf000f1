"""Sigmoid against ReLU on Fashion-MNIST: a published comparison, as it was run and as described.

The text of the study describes another network, optimizer and batch size than the run that its
figures come from.  Both are trained here, and two set-ups that differ from the run in one thing
each: with Adam in the place of plain SGD, and with dropout, as the study's code also has it.
``report.html`` in the output folder says what becomes of each published claim.
"""

from studies.fashion_mnist import STUDY

if __name__ == "__main__":
    STUDY.main()
