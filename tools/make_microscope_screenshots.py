"""Makes the pictures of docs/microscope.md from a run that was made with --record.

python experiments/cifar100.py --limit 2000 --epochs 5 --record --output-dir runs/small
python tools/make_microscope_screenshots.py runs/small
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import browser
from make_screenshots import DOCS, small

from minidl.microscope.__main__ import main as microscope


def main(run: str) -> None:
    with browser.chromium() as chromium, tempfile.TemporaryDirectory() as scratch:
        watch = browser.Watch(chromium)
        microscope([run, "--export", str(Path(scratch, "page.html"))])

        def shoot(name: str, start: str, scheme: str, height: int) -> None:
            """The window from the first element of that selector on."""
            page.emulate_media(color_scheme=scheme)
            page.evaluate(f"document.querySelector({start!r}).scrollIntoView()")
            path = DOCS / "screenshots" / f"microscope-{name}.png"
            clip = {"x": 0, "y": 0, "width": 1280, "height": height}
            path.write_bytes(small(page.screenshot(clip=clip)))
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")

        page = watch.open(Path(scratch, "page.html"), 1280, 1400)
        page.wait_for_selector("#snapshots .histograms svg")
        page.locator("#snapshots .which").get_by_text("sigmoid").click()
        page.locator(".signal h3", has_text="sigmoid").wait_for()
        shoot("signal", "#snapshots", "light", 640)
        page.locator("#snapshots .layers select").select_option("1")
        page.locator("#snapshots .units label").nth(2).click()
        page.locator(".histograms .plot").first.focus()
        page.keyboard.press("End")
        for _ in range(26):  # from the last bin to −3 … −2.5
            page.keyboard.press("ArrowLeft")
        shoot("unit", ".facts", "light", 1240)
        page.mouse.move(0, 0)
        page.locator(".number[aria-label^='dz⁽¹⁾₁ = ']").focus()
        page.set_viewport_size({"width": 1280, "height": 1000})
        shoot("step", "#steps", "dark", 1000)
        watch.close()


if __name__ == "__main__":
    main(sys.argv[1])
