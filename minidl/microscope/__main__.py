"""``python -m minidl.microscope RUN_FOLDER``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from minidl._output import dispensable_output
from minidl._printable import printable_lines
from minidl.microscope.page import microscope_page
from minidl.microscope.server import serve
from minidl.microscope.snapshot_file import SnapshotError
from minidl.storage.files import whole_file

LARGEST = 3_000_000  # bytes of an exported page


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m minidl.microscope",
        description="Show every layer of a run that was made with --record.",
    )
    add = parser.add_argument
    alone = "of the run (default: none, only one step through a tiny network)"
    add("run", nargs="?", metavar="RUN_FOLDER", help=alone)
    export = "write the page to this file instead of serving it"
    add("--export", type=Path, metavar="FILE.html", help=export)
    add("--port", type=_port, default=0, help="on this machine (default: any free one)")
    chosen = parser.parse_args(arguments)
    with dispensable_output("microscope"):
        try:
            if chosen.export is None:
                serve(lambda: microscope_page(chosen.run).html(), chosen.port)
            else:
                around = len(microscope_page(chosen.run, room=0).html().encode())
                with whole_file(chosen.export) as file:
                    file.write(microscope_page(chosen.run, room=LARGEST - around).html())
        except (SnapshotError, OSError) as error:
            sys.exit(f"microscope: {printable_lines(str(error))}")
        except KeyboardInterrupt:
            sys.exit(130)


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")


if __name__ == "__main__":
    main()
