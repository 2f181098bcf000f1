"""Does the site have everything that its hooks should add?"""

import json
import re
import sys
from pathlib import Path

SITE = Path(sys.argv[1])


def text(page: str) -> str:
    return (SITE / page).read_text("utf-8")


found = json.loads(text("search/search_index.json"))["docs"]
titles = {entry["location"]: re.sub("<[^>]*>", "", entry["title"]) for entry in found}
boost = {entry["location"]: entry.get("boost", 1) for entry in found}
save = "api/network.html#minidl.network.Network.save"
reports = list(SITE.glob("results/*/report.html"))
checks = {
    "a search for save and network finds Network.save": titles.get(save) == "Network.save(path)",
    "and lists it before other pages": boost.get(save) == max(boost.values()),
    "the formulas of the guide are MathML": "<mfrac>" in text("guide/4_loss.html"),
    "steps 1 to 5 include the interactive step": all(
        'src="one_step.html"' in page.read_text("utf-8") for page in SITE.glob("guide/[1-5]_*.html")
    ),
    "the interactive step is there": "Forward" in text("guide/one_step.html"),
    "the gallery has every report": bool(reports)
    and text("gallery.html").count("<img") == len(reports),
    "light and dark can be chosen": 'data-md-color-scheme="slate"' in text("index.html"),
}
for check, holds in checks.items():
    print(f"{'ok' if holds else 'FAILED':<8}{check}")
sys.exit(0 if all(checks.values()) else 1)
