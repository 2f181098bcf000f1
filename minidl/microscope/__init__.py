"""The gradient microscope: look at every layer of a run, epoch by epoch, and into one step.

``python -m minidl.microscope RUN_FOLDER`` shows what a run with ``--record`` has kept.
"""
