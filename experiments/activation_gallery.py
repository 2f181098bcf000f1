"""The activation functions of the engine: values, derivatives, curves, and published figures.

Every function, including the learned and the gated ones, with its formula, range, derivative and
a table of values; each published value is recomputed.  ``report.html`` in the output folder is
the overview.
"""

from studies import main

if __name__ == "__main__":
    main("activation_gallery")
