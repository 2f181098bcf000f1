"""Write wordpiece.json: the tokens of sentences from the library ``tokenizers``.

    python tools/make_wordpiece.py [DATA_DIR]

With a small vocabulary, whose tokens are in the file, of sentences that were chosen to be hard;
and, with the vocabulary of bert-base-uncased, a digest of the tokens of every sentence of CoLA
and SST-2, which lie in DATA_DIR/glue together with bert-base-uncased-vocab.txt.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from minidl.data import TextDataset, load_texts

PLACE = Path(__file__).parents[1] / "tests" / "golden" / "wordpiece.json"
FULL = "bert-base-uncased-vocab.txt"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789ßæøσςжд"
VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *(c for c in LETTERS if c not in "qz"),
    *(f"##{c}" for c in LETTERS if c not in "qx"),
    *"!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~¡«»–—“”…、。",
    *("the", "un", "##aff", "##able", "affable", "##ff", "sentence", "cafe", "naive", "中", "文"),
]
SENTENCES = [
    "",
    " ",
    "The sentence.",
    "unaffable unaffables THE",
    "don't; can't -- it's 3.14% of $5",
    "Café naïve NAÏVE Ångström",
    "q quiz xyz ax qa",  # letters that the vocabulary lacks, in front and behind
    "中文 the中sentence文s",
    "tab\tline\nreturn\r\nbreaks\u00a0no-break\u2003em\u3000wide",
    "zero\u200bwidth soft\u00adhyphen bell\x07 nul\x00 del\x7f \ufffdreplaced",
    "“the” «un» – … ¡the! 、。",
    "ΣΑΣ ΟΔΟΣ жд Straße ÆØ",
    "a" * 100,
    "a" * 101,
    "the " * 4 + "b" * 150 + " un",
    "e\u0301e\u0301 o\u0308 \u0301 n\u0303o",
    "[CLS] the [SEP]x [mask]",
    "😀 the 🏳️‍🌈",
    "İstanbul I\u0307 ﬁ ½ ²",
]


def library(vocabulary: Path) -> Any:
    from tokenizers import BertWordPieceTokenizer

    return BertWordPieceTokenizer(str(vocabulary), lowercase=True)


def sentences_of(dataset: TextDataset) -> list[str]:
    return [*dataset.train.sentences, *dataset.dev.sentences]


def digest(rows: Iterable[list[int]]) -> str:
    found = hashlib.sha256()
    for row in rows:
        found.update(np.array([len(row), *row], "<i4").tobytes())
    return found.hexdigest()


def main(data_dir: str | None = None) -> None:
    import tokenizers

    golden: dict[str, Any] = {
        "made by": f"tools/make_wordpiece.py, tokenizers {tokenizers.__version__}"
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vocab.txt")
        path.write_text("\n".join(VOCABULARY) + "\n", "utf-8")
        tokenizer = library(path)
        # "[CLS]" as text is text to minidl; so let it be to the library
        tokenizer._tokenizer.encode_special_tokens = True
        golden["tokens"] = [tokenizer.encode(sentence).ids for sentence in SENTENCES]
    if data_dir is not None:
        tokenizer = library(Path(data_dir, "glue", FULL))
        for name in ("cola", "sst-2"):
            found = tokenizer.encode_batch(sentences_of(load_texts(name, data_dir)))
            golden[name] = digest(encoded.ids for encoded in found)
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()]
    PLACE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
