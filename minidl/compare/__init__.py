"""Several runs side by side on one page: ``python -m minidl.compare RUN RUN …``."""
