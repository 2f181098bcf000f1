"""Makes docs/screenshots: a report page on a phone, a laptop and a projector, light and dark.

python tools/make_screenshots.py
"""

from __future__ import annotations

import io
from pathlib import Path

import browser

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "results" / "cifar100" / "report.html"
SIZES = {"phone": (390, 844), "laptop": (1280, 800), "projector": (1920, 1080)}
COLOURS = 256  # a page has few: a palette makes smaller files


def small(png: bytes) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    folder = DOCS / "screenshots"
    folder.mkdir(exist_ok=True)
    with browser.chromium() as chromium:
        watch = browser.Watch(chromium)
        for name, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                page = watch.open(PAGE, width, height, color_scheme=scheme)
                if name == "laptop":  # the claims, under the opening
                    page.evaluate("document.querySelector('#the-claims').scrollIntoView()")
                elif name == "projector":  # a chart that is asked
                    page.evaluate("document.querySelector('#layer-by-layer').scrollIntoView()")
                    page.locator("#layer-by-layer .plot").nth(1).focus()
                    page.keyboard.press("End")
                path = folder / f"report-{name}-{scheme}.png"
                path.write_bytes(small(page.screenshot()))
                print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
        watch.close()


if __name__ == "__main__":
    main()
