"""Another activation function in a pretrained BERT: a published study, on CoLA and SST-2.

Eleven functions in place of the one that the network was pretrained with, as run and as described,
and the controls that tell a vanishing gradient from a representation that is destroyed before the
first step.  On a processor with the small MiniLM encoder; ``--weights FILE`` takes another BERT,
``--full`` the study's size.  ``report.html`` in the output folder says what becomes of each claim.
"""

from studies.bert import STUDY

if __name__ == "__main__":
    STUDY.main()
