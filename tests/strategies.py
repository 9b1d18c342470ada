"""Text for tests: all of Unicode, and the pieces on which rules turn."""

from hypothesis import strategies as st

PIECES = [
    "word", "don't", "’s", "a", "B", "e.g.", "U.S.", "3.14", "1,000", "x_y", "...", "…", "..", "-----", "•", "- item", "#", "##",
    "\n", "\n\n", "\n\n\n", "\r\n", "\r", " ", "  ", "\t", "\u00a0", "\u3000", "\u2028", "\x0b", "\x0c", "\x85", "\x1c", "\x00",
    ".", "!", "?", "?!", "。", "！", "؟", "।", '"', "'", "”", ")", "]", "[", "[3]", "[]", "[edit]", "[citation needed]", "{", "}",
    "lorem ipsum", "Lorem Ipsum", "JavaScript", "privacy policy", "USE COOKIES", "terms of use", "the", "of", "and", "The",
    "漢字", "々", "カナ", "ー", "ไทย", "ກຳ", "ខ្មែរ", "မြန်မာ", "한국어", "हिन्दी", "עִבְרִית", "می\u200cخواهم", "so\u00adft", "\u200d", "\u2060", "\ufeff",
    "é", "e\u0301", "ß", "İ", "①", "²", "½", "一", "😀", "👩\u200d💻", "€", "𝔘", "\U0010ffff", "end.Next", "Mr. X", "a.b.c",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join),
    st.lists(st.sampled_from(["a b c", "a b", "c d e f", "same line", "", "x", "."]), max_size=30).map("\n".join),
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=60).map(" ".join),
).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))
BATCHES = st.lists(TEXTS, max_size=5)
