"""Classes of all Unicode code points as the regular expression of Llama 3's tokenizer sees them.

The table holds what `\\p{L}`, `\\p{N}` and `\\s` match in the regular expressions of tiktoken, so that texts are split
where tiktoken splits them. It is generated once (`python -m stages.tokens.unicode_split`, needs tiktoken) by asking
tiktoken itself, and committed. tiktoken 0.14 has the tables of Unicode 16; Python 3.11's `unicodedata` (Unicode 14)
lacks 9,272 of its letters and 120 of its numbers, and `str.isspace` counts the four separators U+001C to U+001F as
white space, which `\\s` does not.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.text.unicode_tables import NUM_CODE_POINTS, load_table

OTHER, LETTER, NUMBER, SPACE, NEWLINE = 0, 1, 2, 3, 4
"""Neither of the others; `\\p{L}`; `\\p{N}`; `\\s` but for the line breaks CR and LF; those two."""
TABLE_PATH = Path(__file__).with_name("unicode_split.npz")


@lru_cache(maxsize=1)
def split_classes() -> npt.NDArray[np.uint8]:
    """Class of every code point, `uint8[0x110000]`, read only."""
    return load_table(TABLE_PATH, "classes")


def generate() -> npt.NDArray[np.uint8]:
    """The table as the installed tiktoken has it."""
    table = np.full(NUM_CODE_POINTS, OTHER, np.uint8)
    for kind, pattern in ((LETTER, r"\p{L}"), (NUMBER, r"\p{N}"), (SPACE, r"\s")):
        table[[ord(char) for char in matches(pattern)]] = kind
    table[[ord("\r"), ord("\n")]] = NEWLINE
    return table


def matches(pattern: str) -> str:
    """All code points that a pattern of one character matches in tiktoken.

    tiktoken encodes what its pattern finds and passes over the rest, so with one token a byte the ids of the text of
    all code points spell those that match.
    """
    import tiktoken

    probe = tiktoken.Encoding(
        "probe", pat_str=pattern, mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
    )
    everything = "".join(chr(code) for code in range(NUM_CODE_POINTS) if not 0xD800 <= code < 0xE000)
    return bytes(probe.encode_ordinary(everything)).decode()


if __name__ == "__main__":
    np.savez_compressed(TABLE_PATH, classes=generate(), unicode_version="16.0.0")
