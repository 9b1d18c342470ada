"""Slow, obvious twins of the kernels of `stages.tokens`: pre-tokens by alternatives, merges by looking at all pairs."""

from __future__ import annotations

from functools import lru_cache

from stages.tokens.unicode_split import LETTER, NEWLINE, NUMBER, OTHER, SPACE, split_classes

CONTRACTIONS = ("s", "t", "re", "ve", "m", "ll", "d")


def kinds(text: str) -> list[int]:
    return [int(split_classes()[ord(char)]) for char in text]


def run(of: list[int], i: int, *wanted: int) -> int:
    """End of the run of some classes from `i` on."""
    while i < len(of) and of[i] in wanted:
        i += 1
    return i


def contraction(text: str, i: int) -> int:
    """(?i:'s|'t|'re|'ve|'m|'ll|'d)"""
    if text[i] == "'":
        for letters in CONTRACTIONS:
            found = text[i + 1 : i + 1 + len(letters)]
            if found.replace("ſ", "s").lower() == letters:
                return i + 1 + len(letters)
    return i


def letters(text: str, of: list[int], i: int) -> int:
    r"""[^\r\n\p{L}\p{N}]?\p{L}+"""
    first = i + 1 if of[i] in (OTHER, SPACE) else i
    end = run(of, first, LETTER)
    return end if end > first else i


def numbers(text: str, of: list[int], i: int) -> int:
    r"""\p{N}{1,3}"""
    return min(run(of, i, NUMBER), i + 3)


def marks(text: str, of: list[int], i: int) -> int:
    r"""?[^\s\p{L}\p{N}]+[\r\n]*"""
    first = i + 1 if text[i] == " " else i
    end = run(of, first, OTHER)
    return run(of, end, NEWLINE) if end > first else i


def breaks(text: str, of: list[int], i: int) -> int:
    r"""\s*[\r\n]+"""
    end = run(of, i, SPACE, NEWLINE)
    while end > i and of[end - 1] != NEWLINE:
        end -= 1
    return end


def space(text: str, of: list[int], i: int) -> int:
    r"""\s+(?!\S)|\s+"""
    end = run(of, i, SPACE, NEWLINE)
    return end - 1 if end < len(text) and end - 1 > i else end


def pretokens(text: str) -> list[str]:
    """The text split as Llama 3's regular expression does: at each place the first alternative that matches."""
    of, found, i = kinds(text), [], 0
    while i < len(text):
        ends = (contraction(text, i), *(rule(text, of, i) for rule in (letters, numbers, marks, breaks, space)))
        end = next(end for end in ends if end > i)
        found.append(text[i:end])
        i = end
    return found


def merge(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    """Byte-pair merges: the pair of the lowest rank first, the leftmost of equals."""
    if piece in ranks:
        return [ranks[piece]]
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while len(parts) > 1:
        rank, i = min((ranks.get(parts[i] + parts[i + 1], 1 << 40), i) for i in range(len(parts) - 1))
        if rank == 1 << 40:
            break
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return [ranks[part] for part in parts]


@lru_cache(maxsize=1)
def reference():
    """tiktoken with Llama 3's vocabulary, its regular expression and its special tokens."""
    import base64

    import tiktoken

    from stages.tokens.vocabulary import llama3_specials, vocabulary_path

    lines = vocabulary_path("llama3").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    )
    specials = llama3_specials(len(ranks))
    return tiktoken.Encoding("llama3", pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials)


def neighbours(tokens: list[bytes]) -> set[tuple[bytes, bytes]]:
    """What stands before and behind the places in tokens where a character of three bytes starts: up to three bytes
    on both sides, fewer where the token begins or ends."""
    places = ((token, i) for token in tokens for i in range(1, len(token)) if 0xE0 <= token[i] < 0xF0)
    return {(token[max(0, i - 3) : i], token[i : i + 3]) for token, i in places}


def is_spanned(found: set[tuple[bytes, bytes]], left: str, right: str) -> bool:
    """Whether a token spans the place between two characters, in whole or in part."""
    before, after = left.encode(), right.encode()
    return any(before.endswith(a) and after.startswith(b) for a, b in found)
