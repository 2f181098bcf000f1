"""``python -m minidl.microscope RUN_FOLDER``."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from minidl._output import tolerant_stdout
from minidl._printable import printable
from minidl.microscope.page import microscope_page
from minidl.microscope.snapshot_file import SnapshotError

LARGEST = 3_000_000  # bytes of an exported page


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m minidl.microscope",
        description="Show every layer of a run that was made with --record: write "
        "RUN_FOLDER/microscope.html and open it in the browser.",
    )
    add = parser.add_argument
    alone = "of the run (default: none, only one step through a tiny network)"
    add("run", nargs="?", metavar="RUN_FOLDER", help=alone)
    export = "write a page of at most 3 MB to this file instead, and open nothing"
    add("--export", metavar="FILE.html", help=export)
    chosen = parser.parse_args(arguments)
    with tolerant_stdout("microscope"):
        try:
            if chosen.export is not None:
                around = len(microscope_page(chosen.run, room=0).html().encode())
                print(microscope_page(chosen.run, LARGEST - around).write(chosen.export))
            else:
                path = Path(chosen.run or ".", "microscope.html")
                print(microscope_page(chosen.run).write(path), flush=True)
                webbrowser.open(path.resolve().as_uri())
        except (SnapshotError, OSError) as error:
            sys.exit(f"microscope: {printable(str(error))}")
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
