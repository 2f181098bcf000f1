"""Formulas in ``math`` blocks as MathML, which browsers typeset without scripts or extra fonts.

A code host typesets the same blocks by itself.  MkDocs calls ``on_config``.
"""

from __future__ import annotations

from typing import Any

from latex2mathml.converter import convert


def on_config(config: Any) -> Any:
    fence = {"name": "math", "class": "math", "format": typeset}
    config["mdx_configs"].setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    return config


def typeset(source: str, *_: Any, **__: Any) -> str:
    r"""LaTeX as MathML; ``array`` is the environment for several lines.

    Raises
    ------
    ValueError
        if a command or an environment is unknown: its parts would be shown as text.
    """
    formula = convert(source.strip(), display="block")
    if "\\" in formula or ">&<" in formula:
        raise ValueError(f"a formula has a command that cannot be typeset: {source}")
    return f'<div class="formula" tabindex="0">{formula}</div>'
