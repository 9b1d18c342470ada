"""Hypothesis strategies for text: all of Unicode, and the corners where text passes go wrong."""

from __future__ import annotations

from hypothesis import strategies as st

SCRIPTS = (
    "the cat's well-known 3.14 don’t U.S. e.g. end.Next",
    "ünïcödé ѳѣ русский слово",
    "日本語の文章。カタカナー々",
    "ภาษาไทยที่ดี",
    "ພາສາລາວ ភាសាខ្មែរ မြန်မာ",
    "हिन्दी भाषा। العربية ؟ עברית",
    "한국어 문장",
    "a\u200db\u200c c\u00add\u2060 e\u0301 \ufeff\u200b",
    "'’\"”»)] ... … • - # { } [1] [] [edit] [citation needed]",
    "lorem ipsum JavaScript Privacy Policy use cookies",
    "😀👍🏽🇫🇷 \U0001d518",
)
PIECES = (
    "\n",
    "\n\n",
    "\n\n\n",
    "\r\n",
    "\r\n\r\n",
    "\r",
    " ",
    "\t",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\x0b",
    "\x00",
    "\x85",
)


def texts(max_pieces: int = 40) -> st.SearchStrategy[str]:
    """Text of single characters from anywhere in Unicode, mixed with words, scripts, breaks and marks that matter."""
    word = st.sampled_from([word for line in SCRIPTS for word in line.split(" ")])
    char = st.sampled_from(sorted(set("".join(SCRIPTS))))
    anything = st.characters(exclude_categories=["Cs"])
    piece = st.one_of(st.sampled_from(PIECES), word, word.map(" {}".format), char, anything, st.sampled_from(".?!'\"-"))
    return st.lists(piece, max_size=max_pieces).map("".join)


def repetitive_texts() -> st.SearchStrategy[str]:
    """Text of few different words and lines, so that n-grams, lines and paragraphs come again."""
    word = st.sampled_from(["a", "b", "ab", "ba", "日", "x."])
    separator = st.sampled_from([" ", " ", " ", "\n", "\n\n", ""])
    return st.lists(st.tuples(word, separator).map("".join), max_size=80).map("".join)


def documents() -> st.SearchStrategy[list[str]]:
    """Texts of a batch; may be none."""
    return st.lists(texts() | repetitive_texts(), max_size=5)
