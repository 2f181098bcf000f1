"""The published studies, a folder for each; its STUDY is the declaration."""

import sys
from importlib import import_module


def main(name: str) -> None:
    """Run the command of a study; Ctrl-C ends it quietly even while Python imports the study."""
    try:
        study = import_module(f"studies.{name}").STUDY
    except KeyboardInterrupt:
        sys.exit(130)
    study.main()
