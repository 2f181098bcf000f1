"""Predicting the gradient: theory against networks at initialization, layer by layer.

How large the signal and the gradient are in each layer, how deep a network can be and still train,
which networks are born dead, and when the predictions stop holding.  ``report.html`` in the output
folder gives the verdict on each published claim.
"""

from studies import main

if __name__ == "__main__":
    main("signal_propagation")
