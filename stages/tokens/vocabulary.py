"""Vocabularies of byte-pair encoding: Llama 3's, any other of tiktoken's format, and Hugging Face's `tokenizer.json`.

Llama 3's `tokenizer.model` (2.2 MB, 128,000 tokens) comes out of Meta's package `llama-models`, which is found but
never imported: its import would pull a dozen libraries. The file is under the Meta Llama 3 Community License; no copy
of it is part of Tamis.

A file of tiktoken's format has a token in base64 and its rank on each line; the rank is the id. It says nothing of how
text is split before: Llama 3's regular expression is used, and Llama 3's 256 special tokens follow the last id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.errors import AssetError, MissingPartError
from stages.tokens import kernels_borders, kernels_bpe, kernels_merges
from stages.tokens.kernels_bpe import ID_BITS

LLAMA3 = "llama3"
LLAMA3_SHA256 = "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55"
"""Of Llama 3's tokenizer.model, the same for 3, 3.1, 3.2 and 3.3."""
NAMED_SPECIALS = {
    0: "begin_of_text", 1: "end_of_text", 4: "finetune_right_pad_id", 5: "step_id", 6: "start_header_id",
    7: "end_header_id", 8: "eom_id", 9: "eot_id", 10: "python_tag",
}  # fmt: skip
"""Places of the special tokens after the last ordinary one, as Meta's code for Llama 3.1 and 3.2 has them; all others
of the 256 are reserved and numbered. Llama 3 has the same places and fewer names."""
NUM_SPECIALS = 256
MAX_IDS = 1 << ID_BITS


def llama3_specials(first: int) -> dict[str, int]:
    """The 256 special tokens, numbered from `first`."""
    names, reserved = {}, 0
    for place in range(NUM_SPECIALS):
        name = NAMED_SPECIALS.get(place)
        if name is None:
            name = f"reserved_special_token_{reserved}"
            reserved += 1
        names[f"<|{name}|>"] = first + place
    return names


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Tokens and merges as the kernels want them (see `stages.tokens.kernels_merges`), and the special tokens."""

    sha256: str
    """Of the file."""
    specials: dict[str, int]
    """Ids of tokens that no text encodes to, by how they are written."""
    token_bytes: npt.NDArray[np.uint8]
    token_starts: npt.NDArray[np.int64]
    """Bytes of every id, special ones as they are written."""
    byte_ids: npt.NDArray[np.int32]
    byte_pairs: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.uint64]
    bits: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int32]
    words: npt.NDArray[np.uint64]
    borders: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.uint64]]
    """See `stages.tokens.kernels_borders`."""

    @property
    def num_ids(self) -> int:
        """Ids there are, special ones included; an embedding needs as many rows."""
        return len(self.token_starts) - 1


def vocabulary_path(name: str) -> Path:
    """The file of a vocabulary: of `llama3`, or of a path. Raises MissingPartError or AssetError if it is not there."""
    if name == LLAMA3:
        package = find_spec("llama_models")
        for folder in package.submodule_search_locations or () if package else ():
            path = Path(folder) / "llama3" / "tokenizer.model"
            if path.is_file():
                return path
        raise MissingPartError(
            "Llama 3's tokenizer.model is missing: the package that carries it is not installed. "
            "pip install 'tamis[llama3]', or name a file of yours: tokens: {vocabulary: PATH}"
        )
    if not Path(name).is_file():
        raise AssetError(f"vocabulary: there is no file {name}; write '{LLAMA3}' or the path of a file")
    return Path(name)


@lru_cache(maxsize=4)
def read_ranks(path: Path) -> Vocabulary:
    """A vocabulary of tiktoken's format. Raises AssetError, with the line, for what is none."""
    content = path.read_bytes()
    tokens: list[bytes] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                token, rank = line.split()
                tokens.append(base64.b64decode(token, validate=True))
                found = int(rank)
            except (ValueError, binascii.Error) as error:
                raise AssetError(f"{path}:{number}: not a token in base64 and its rank: {line[:60]!r}") from error
            if found != len(tokens) - 1:
                raise AssetError(f"{path}:{number}: rank {found}, expected {len(tokens) - 1}: ranks count from 0")
    missing = {bytes([byte]) for byte in range(256)}.difference(tokens)
    if missing:
        raise AssetError(
            f"{path}: {len(missing)} single bytes are no tokens, the first {min(missing)!r}: not byte-level"
        )
    if len(tokens) + NUM_SPECIALS > MAX_IDS:
        raise AssetError(f"{path}: {len(tokens)} tokens; with the special ones at most {MAX_IDS} are supported")
    return build(tokens, hashlib.sha256(content).hexdigest())


def build(tokens: list[bytes], sha256: str) -> Vocabulary:
    """The kernels' tables of tokens whose ids are their places, and Llama 3's special tokens after them."""
    token_bytes, token_starts = _arena(tokens)
    slots = np.full(_power_of_two(2 * len(tokens)), -1, np.int32)
    kernels_merges.fill_slots(token_bytes, token_starts, slots)
    byte_ids = np.array([tokens.index(bytes([byte])) for byte in range(256)], np.int32)
    count, room = -1, _power_of_two(2 * len(tokens))
    while count < 0:
        byte_pairs = np.full(1 << 16, kernels_merges.ABSENT, np.int32)
        pairs, bits = np.full(room, kernels_merges.FREE, np.uint64), np.zeros(1 << 16, np.uint64)
        count = kernels_merges.fill_pairs(token_bytes, token_starts, byte_ids, slots, byte_pairs, pairs, bits)
        room *= 2
    words = np.zeros((_power_of_two(2 * len(tokens)), 4), np.uint64)
    kernels_bpe.fill_words(token_bytes, token_starts, words)
    borders = (
        np.zeros(1 << 16, np.uint8), np.zeros(1 << 16, np.uint8), np.zeros(kernels_borders.NUM_PAIR_WORDS, np.uint64)
    )  # fmt: skip
    kernels_borders.fill_borders(token_bytes, token_starts, *borders)
    specials = llama3_specials(len(tokens))
    token_bytes, token_starts = _arena(tokens + [special.encode() for special in specials])
    return Vocabulary(
        sha256, specials, token_bytes, token_starts, byte_ids, byte_pairs, pairs, bits, slots, words, borders
    )


def _arena(tokens: list[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    starts = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum([len(token) for token in tokens], out=starts[1:])
    return np.frombuffer(b"".join(tokens), np.uint8), starts


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
