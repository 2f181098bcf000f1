"""The gradient predicted: theory beside networks as they start, layer by layer.

How large signal and gradient are in each layer, how deep a network can be and still train, which
networks are born dead, and where the predictions stop to hold.  ``report.html`` in the output
folder says what becomes of each published claim.
"""

from studies.signal_propagation import STUDY

if __name__ == "__main__":
    STUDY.main()
