"""Another activation function in a pretrained BERT: a published study, on CoLA and SST-2.

Eleven functions, GELU and ten in its place, as run and as described, with controls that distinguish
a vanishing gradient from a representation that is destroyed before the first step.  With the small
MiniLM encoder, for a CPU; ``--weights FILE`` loads another BERT, ``--full`` is the study's size.
``report.html`` in the output folder gives the verdict on each claim.
"""

from studies import main

if __name__ == "__main__":
    main("bert")
