"""The activation functions of the engine: values, derivatives, curves, and the published ones.

Every function, the learned and the gated ones too, with its formula, range, derivative and a
table of values; each published value is computed again.  ``report.html`` in the output folder is
the overview.
"""

from studies.activation_gallery import STUDY

if __name__ == "__main__":
    STUDY.main()
