"""The gradient microscope: every layer of a run, epoch by epoch, and one step in detail.

``python -m minidl.microscope RUN_FOLDER`` shows what a run with ``--record`` has recorded.
"""
