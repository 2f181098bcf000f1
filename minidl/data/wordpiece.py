"""WordPiece: a sentence as tokens of a vocabulary, the way BERT reads it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from minidl.backend import checks
from minidl.storage.files import read_bytes

UNKNOWN, FIRST, LAST, PADDING = "[UNK]", "[CLS]", "[SEP]", "[PAD]"
LARGEST = 16 << 20  # bytes of a vocabulary at most; BERT's have 0.2 to 1 million
LONGEST_WORD = 100  # characters; longer ones are unknown

# Blocks of Chinese characters, each of which is a word by itself.
CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


class WordPiece:
    """Split sentences into words, and words that the vocabulary lacks into the longest pieces.

    1. Control characters are removed, all white space becomes a blank; letters are lower-cased and
       lose their accents.
    2. Words end at blanks; a punctuation mark or a Chinese character is a word by itself.
    3. The longest prefix of a word that is in the vocabulary is a token, then the longest
       prefix of the rest, marked with ``##``, and so on.  If no prefix is in the vocabulary,
       the word is ``[UNK]``, and so is one of more than 100 characters.

    For example, "unaffable" may become ``un``, ``##aff``, ``##able``.  The result is that of the
    library ``tokenizers`` for BERT's lower-casing vocabularies, except that text is only text: a
    literal "[SEP]" is a bracket, three letters and a bracket.
    Source: Devlin et al., 2019; Wu et al., 2016 (arXiv 1609.08144), section 4.1.

    Parameters
    ----------
    vocabulary : the tokens; the number of a token is its index

    Raises
    ------
    ValueError
        if the vocabulary lacks [PAD], [UNK], [CLS] or [SEP].
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        if isinstance(vocabulary, str) or not isinstance(vocabulary, Sequence):
            raise ValueError(
                "WordPiece: expected vocabulary to be a list of tokens, got "
                f"{checks.describe(vocabulary)}; WordPiece.of_file reads one"
            )
        self.vocabulary = tuple(vocabulary)
        self.numbers = {token: number for number, token in enumerate(self.vocabulary)}
        missing = [t for t in (PADDING, UNKNOWN, FIRST, LAST) if t not in self.numbers]
        if missing:
            raise ValueError(
                f"WordPiece: expected {', '.join(missing)} in the vocabulary of "
                f"{len(self.vocabulary):,} tokens; is it one of BERT?"
            )
        self.padding = self.numbers[PADDING]
        self._pieces = lru_cache(maxsize=1 << 16)(self._pieces_of)

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> WordPiece:
        """Read the vocabulary from the file ``path``, of 16 MiB at most, with a token per line."""
        raw = read_bytes(path, LARGEST)
        try:
            return cls(raw.decode("utf-8").removesuffix("\n").split("\n"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected a vocabulary in UTF-8 ({error})") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def tokens(self, sentence: str) -> list[str]:
        """The tokens of a sentence, with [CLS] and [SEP] at its ends, as text."""
        return [self.vocabulary[number] for number in self.encode(sentence)]

    def encode(self, sentence: str, longest: int = 512) -> list[int]:
        """The numbers of the tokens; longer sentences are cut to ``longest``, ending in [SEP]."""
        if not isinstance(sentence, str):
            raise ValueError(
                f"WordPiece: expected a sentence as text, got {checks.describe(sentence)}"
            )
        checks.integer("WordPiece", "longest", longest, least=2)
        found = [self.numbers[FIRST]]
        for word in words(sentence):
            found += self._pieces(word)
            if len(found) >= longest:
                break
        return [*found[: longest - 1], self.numbers[LAST]]

    def _pieces_of(self, word: str) -> tuple[int, ...]:
        """The pieces of one word, or [UNK] alone."""
        pieces: list[int] = []
        start = 0
        if len(word) <= LONGEST_WORD:
            while start < len(word):
                front = "##" if start else ""
                for end in range(len(word), start, -1):
                    number = self.numbers.get(front + word[start:end])
                    if number is not None:
                        pieces.append(number)
                        start = end
                        break
                else:
                    break
        return tuple(pieces) if start == len(word) else (self.numbers[UNKNOWN],)

    def __repr__(self) -> str:
        return f"WordPiece({len(self.vocabulary):,} tokens)"


def words(sentence: str) -> Iterator[str]:
    """Its words and punctuation marks, lower-cased and without accents."""
    clean = "".join(map(_cleaned, sentence))
    bare = (c for c in unicodedata.normalize("NFD", clean) if unicodedata.category(c) != "Mn")
    lower = "".join(c.lower() for c in bare)  # by itself: "Σ" at the end of a word is no other
    yield from "".join(f" {c} " if _is_punctuation(c) else c for c in lower).split()


@lru_cache(maxsize=1 << 12)
def _cleaned(c: str) -> str:
    if c in "\t\n\r" or c.isspace():
        return " "
    if c == "\ufffd" or unicodedata.category(c) in ("Cc", "Cf", "Co"):
        return ""
    return f" {c} " if any(low <= ord(c) <= high for low, high in CHINESE) else c


@lru_cache(maxsize=1 << 12)
def _is_punctuation(c: str) -> bool:
    """What Unicode calls so, and every ASCII mark that is neither letter, digit nor blank."""
    ascii_mark = c.isascii() and c.isprintable() and not c.isalnum() and c != " "
    return ascii_mark or unicodedata.category(c).startswith("P")
