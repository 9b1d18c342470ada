"""Any tokenizer of Hugging Face's `tokenizer.json`, through the library `tokenizers`.

The slower way: texts become Python strings, and the library does the rest, some 25 times slower than
`stages.tokens.bpe` (`python -m benchmarks.tokens` measures it). Special tokens that are written in a text are text here
too; other added tokens are recognised, as the library does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.errors import AssetError, MissingPartError
from stages.text.batch import Utf8
from stages.tokens.ids import Ids


class LibraryEncoder:
    """A `tokenizer.json` at work."""

    def __init__(self, tokenizer: Any, sha256: str) -> None:
        self._tokenizer = tokenizer
        self.sha256 = sha256
        """Of the file."""

    @property
    def specials(self) -> Mapping[str, int]:
        """Ids of the added tokens by how they are written."""
        return {token.content: number for number, token in self._tokenizer.get_added_tokens_decoder().items()}

    @property
    def num_ids(self) -> int:
        """Ids there are; an embedding needs as many rows."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    def encode(self, utf8: Utf8) -> Ids:
        """Ids of every document, without any that the tokenizer would add around it."""
        texts = [
            bytes(utf8.data[low:high]).decode() for low, high in zip(utf8.offsets[:-1], utf8.offsets[1:], strict=True)
        ]
        try:
            found = [encoding.ids for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False)]
        except Exception as error:  # the library raises plain Exception
            raise AssetError(f"the tokenizer.json of sha256 {self.sha256} cannot encode: {error}") from error
        offsets = np.zeros(len(found) + 1, np.int64)
        np.cumsum([len(ids) for ids in found], out=offsets[1:])
        return Ids(np.array([number for ids in found for number in ids], np.uint32), offsets)

    def decode(self, ids: npt.NDArray[np.uint32]) -> bytes:
        """The text that ids stand for, as far as the tokenizer can tell."""
        return str(self._tokenizer.decode(ids.tolist(), skip_special_tokens=False)).encode()

    def tokens(self) -> list[bytes]:
        """What each id stands for."""
        return [self.decode(np.array([number], np.uint32)) for number in range(self.num_ids)]


@lru_cache(maxsize=4)
def read_library(path: Path) -> LibraryEncoder:
    """The tokenizer in a file. Raises MissingPartError without the library, AssetError for what it cannot read."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingPartError(
            f"{path} is read by the library tokenizers, which is not installed. pip install tokenizers"
        ) from error
    content = path.read_bytes()
    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises plain Exception, and what is none where its own code fails
        raise AssetError(f"{path}: not a tokenizer.json: {error}") from error
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return LibraryEncoder(tokenizer, hashlib.sha256(content).hexdigest())
