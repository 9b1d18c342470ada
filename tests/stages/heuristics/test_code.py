"""Source files: comments and strings told from code, every rule at its bound, and the slow twin."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.config import load_config
from stages.contract import Bounds, decide, run_stage
from stages.errors import StageError
from stages.heuristics.code import Code
from stages.heuristics.code_languages import LANGUAGES, NAMES, language_of_label, language_of_path
from stages.text.batch import TextBatch
from tests import naive_code
from tests.strategies import texts

KEY = "AKIAIOSFODNN7EXAMPLE"
PIECES = (
    "\n", "\r\n", " ", "\t", "x", "x = 1", "}", "},", "{", "(", ")", ":", "def f():\n", "class A:\n    ", '"', "'",
    '"""', "'''", "`", "\\", '\\"', "#", " # ", "//", "/*", "*/", "--", "--[[", "]]", "(*", "*)", "{-", "-}", "#=",
    "=#", "#|", "|#", "<!--", "-->", "<script>", "</script>", "<style a='>'>", "</STYLE>", "<p>", "<", " > ", ";", "%",
    "\\%", "REM ", "::", "!", "=pod\n", "=cut", "todo", "FixMe", "your code here", "assert", "import os", "print",
    "PRINT", "pass", "0x1F", "0xZ", "41 42 43 ", "\\x41" * 9, "41, 42,0x43, 44 45 46 47 48 ", "\\u0041" * 8, "\\u00",
    "A" * 64, "ab/+=" * 13, "日本", "\ufffd", "\u3000", "😀", "http://x.yz/" + "a" * 20, "w" * 21, "a b c d e " * 5,
    "<?xml version=", "Do Not Edit", "autogen", "Generated", KEY, "r", "u", "\x00", "\x0b",
)  # fmt: skip
ENDINGS = sorted({syntax.endings.split()[0] for syntax in LANGUAGES.values()} | {"zzz"})


def files() -> st.SearchStrategy[list[tuple[str, str]]]:
    """Endings, most of them Python's, and texts of a batch."""
    text = st.lists(st.sampled_from(PIECES) | texts(3), max_size=25).map("".join)
    return st.lists(st.tuples(st.sampled_from(ENDINGS) | st.sampled_from(["py", "html", "js"]), text), max_size=5)


def measured(text: str, path: str = "a.py", **fields: Any) -> dict[str, Any]:
    _, columns = run_stage(Code(**fields), TextBatch.from_texts([text], path=[path]))
    return {name: column[0].as_py() for name, column in columns.items()}


def broken(text: str, path: str = "a.py", **fields: Any) -> list[str]:
    stage = Code(**fields)
    _, columns = run_stage(stage, TextBatch.from_texts([text], path=[path]))
    return [name for name, mask in decide(stage, columns, None).items() if mask[0]]


def comments(text: str, path: str = "a.py") -> float:
    """Characters in comments."""
    return round(measured(text, path)["comment_ratio"] * len(text))


@given(files())
@example([("py", "")])
@example([("py", '"""\ndoc\n"""\nx = """a\n"""'), ("js", "`" * 3), ("html", "<!-->x<!-- y -->"), ("vim", '" a\nx " b')])
@settings(deadline=None, max_examples=400)
def test_every_signal_equals_its_twin(documents: list[tuple[str, str]]) -> None:
    paths, contents = [f"src/file.{ending}" for ending, _ in documents], [text for _, text in documents]
    _, columns = run_stage(Code(), TextBatch.from_texts(contents, path=paths))
    for i, (path, text) in enumerate(zip(paths, contents, strict=True)):
        assert {name: column[i].as_py() for name, column in columns.items()} == naive_code.code(text, path)


def test_a_long_line_is_read_in_time() -> None:
    for piece in ("'", '"""', "/*", "<script>", "\\u0041", "41 ", '" \\', "(", "eyJ-", "#"):
        for path in ("a.py", "a.js", "a.html", "a.vim", "a.sh"):
            assert measured(piece * (1_000_000 // len(piece)), path)["line_count"] == 1


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/main.py", "python"), ("Main.JAVA", "java"), ("py", "python"), ("a/b/Makefile", "makefile"),
        ("Dockerfile", "dockerfile"), ("x.tar.gz", None), ("", None), (None, None), ("c:\\x.cpp", "c++"), ("a.h", "c"),
    ],
)  # fmt: skip
def test_the_language_is_in_the_name(path: str | None, language: str | None) -> None:
    found = language_of_path(path)
    assert (NAMES[found] if found >= 0 else None) == language


def test_the_first_column_that_tells_the_language_does() -> None:
    batch = TextBatch.from_texts(["x"] * 3, id=["a.py", "b.py", "c"], ext=["zzz", "js", None])
    assert run_stage(Code(), batch)[1]["language"].to_pylist() == ["python", "javascript", "c"]
    large = batch.with_columns({"ext": batch.table["ext"].cast(pa.large_string())})
    assert run_stage(Code(), large)[1]["language"].to_pylist() == ["python", "javascript", "c"]
    assert run_stage(Code(path="id"), batch)[1]["language"].to_pylist() == ["python", "python", "c"]


def test_no_two_languages_share_an_ending() -> None:
    endings = [ending for syntax in LANGUAGES.values() for ending in syntax.endings.split()]
    assert len(endings) == len(set(endings))
    assert language_of_label("cpp") == NAMES.index("c++")
    assert language_of_label("png") < 0


@pytest.mark.parametrize(
    ("path", "text", "num_chars"),
    [
        ("a.py", "# abc\nx = 1  # y\n", 8),
        ("a.py", 'x = "# no"\n', 0),
        ("a.py", '"""Doc."""\nimport x\n', 10),
        ("a.py", '#!/x\n"""Doc."""\n', 14),
        ("a.py", 'def f():\n    r"""Doc."""\n    return """no"""\n', 10),
        ("a.py", "x = {1:\n'no'}\n", 0),
        ("a.py", "class A:\n    'Doc.'\n", 6),
        ("a.c", 'int a; /* b\n c */ // d\n"/*" \'"\' /*', 16),
        ("a.js", "`// no\n` // yes", 6),
        ("a.rs", "/* a /* b */ c */ x", 17),
        ("a.sh", "echo $# # yes\n${#x}", 5),
        ("a.tex", "5\\% no % yes", 5),
        ("a.vim", '" yes\nlet x = "no"', 5),
        ("a.html", "<p><!-- c --></p>", 10),
        ("a.lua", "--[[ a\n b ]] x -- c", 16),
        ("a.sql", "select '--no' -- yes", 6),
        ("a.bat", "@REM yes\necho REM no\n:: yes", 14),
        ("a.py", "it's = 1  # yes", 5),
    ],
)
def test_comments(path: str, text: str, num_chars: int) -> None:
    assert comments(text, path) == num_chars


def body(num_lines: int = 20, line: str = "value = compute(argument, other)") -> str:
    return "".join(f"{line} + {chr(97 + i // 26)}{chr(97 + i % 26)}\n" for i in range(num_lines))


def test_a_plain_file_breaks_no_rule() -> None:
    assert broken(body()) == []


RULES = {
    "char_count": ("char_count", "abcde " * 8 + "a", "abcde " * 8 + "ab"),
    "line_count": ("line_count", body(9), body(10)),
    "max_line_length": ("max_line_length", body() + "a" * 1001, body() + "a" * 1000),
    "mean_line_length_max": ("mean_line_length", ("a" * 101 + "\n") * 10, ("a" * 100 + "\n") * 10),
    "mean_line_length_min": ("mean_line_length", "abcd\n" * 12, "abcde\n" * 12),
    "word_count": ("word_count", "word " * 29, "word " * 30),
    "mean_word_length_min": ("mean_word_length", "a b " * 30 + "cde", "ab " * 30),
    "mean_word_length_max": ("mean_word_length", "a" * 11 + " bbbbbbbbbb", "aaaaaaaaaa bbbbbbbbbb"),
    "alnum_ratio": ("alnum_ratio", "a" * 24 + "-" * 76, "a" * 25 + "-" * 75),
    "visible_alpha_ratio": ("visible_alpha_ratio", "a" * 49 + "-" * 51, "a -" * 50),
    "visible_digit_ratio": ("visible_digit_ratio", "aaaa1" * 9 + "11111 ", "aaaa1" * 10 + "  "),
    "space_ratio": ("space_ratio", "a  " * 50, "a " * 50),
    "replacement_ratio": ("replacement_ratio", "\ufffd" * 2 + "a" * 98, "\ufffd" + "a" * 99),
    "comment_ratio": ("comment_ratio", "#" + "a" * 80 + "\n" + "b" * 18, "#" + "a" * 79 + "\n" + "b" * 19),
    "xml": ("xml", " " * 86 + "<?xml version=", " " * 87 + "<?xml version="),
    "autogenerated": ("autogenerated", "#" * 192 + "Generate", "#" * 193 + "Generate"),
    "do_not_edit": ("autogenerated", "# DO NOT EDIT", "# DO NOT EDITH".replace("H", "")[:12]),
    "encoded_ratio": ("encoded_ratio", "A" * 64 + "-" * 63, "A" * 64 + "-" * 64),
    "base64_length": ("encoded_ratio", "A" * 64, "A" * 63),
    "hex_bytes": ("encoded_ratio", "41 0x42,\\x43 44 45 46 47 48", "41 0x42,\\x43 44 45 46 47 4"),
    "unicode_escapes": ("encoded_ratio", "\\u0041" * 8, "\\u0041" * 7),
    "longest_encoded_run": ("longest_encoded_run", "A" * 1025, "A" * 1024),
    "duplicate_line_ratio": ("duplicate_line_ratio", "ab\n" * 8 + "cd\nef\n", "a b\nab\n" * 3 + "ab\ncd\nef\ngh\n"),
    "string_ratio": ("string_ratio", "b='" + "a" * 61 + "'" + "b" * 35, "b='" + "a" * 60 + "'" + "b" * 36),
    "long_string_line_ratio": (
        "long_string_line_ratio", "x='" + "a " * 21 + "'\nx1\nx2\n", "x='" + "a " * 21 + "'\nx1\nx2\nx3\nx4\n",
    ),
    "long_string_word_ratio": (
        "long_string_word_ratio", "b='" + "a" * 41 + "'" + "b" * 55, "b='" + "a" * 40 + "'" + "b" * 56,
    ),
    "urls_are_no_long_words": ("long_string_word_ratio", "x='" + "a" * 50 + "'", "x='http://" + "a" * 50 + "'"),
    "hex_word_ratio": ("hex_word_ratio", "0x123 " * 9 + "abcd" * 10, "0x12 " * 10 + "abcde" * 10),
    "todo_line_ratio": ("todo_line_ratio", "# ToDo\n" * 2 + "x\n" * 98, "# FIXME\n" + "todo\n" * 99),
    "assert_line_ratio": ("assert_line_ratio", "assert a\n" * 5 + "b\n" * 5, "assert a\n" * 4 + "b\n" * 6),
    "import_line_ratio": ("import_line_ratio", "import a\n" * 4 + "b\n" * 6, "import a\n" * 3 + "b\n" * 7),
    "print_line_ratio": ("print_line_ratio", "print(a)\n" * 5 + "b\n" * 5, "print(a)\n" * 4 + "PRINT\n" * 6),
    "pass_line_ratio": ("pass_line_ratio", "password\n" * 2 + "b\n" * 18, "pass\n" + "b\n" * 19),
}  # fmt: skip


@pytest.mark.parametrize("case", RULES)
def test_every_rule_at_its_bound(case: str) -> None:
    signal, over, at = RULES[case]
    assert signal in broken(over), measured(over)[signal]
    assert signal not in broken(at), measured(at)[signal]


def test_every_bound_has_a_case() -> None:
    bounded = {name for name, rule in Code().decisions().items() if not rule.is_open}
    assert bounded - {case[0] for case in RULES.values()} == {"byte_count", "visible_text_ratio", "visible_text_count"}


def test_a_file_of_three_megabytes_is_the_largest() -> None:
    rule = Code().byte_count
    assert (rule.min, rule.max) == (None, 3_000_000)
    assert measured("é" * 100)["byte_count"] == 200


@pytest.mark.parametrize(
    ("html", "num_chars"),
    [
        ("<p>abc</p>", 3),
        ("a < b <b>c</b>", 7),
        ("<script>no</script>yes<STYLE>no</STYLE>", 3),
        ("<!-- no > no -->yes", 3),
        ('<a title="no > no">yes</a>', 3),
        ("<!doctype html><?php no ?>yes", 3),
        ("<script>no", 0),
        ("it's <b class=x>it's", 9),
    ],
)
def test_what_a_page_shows(html: str, num_chars: int) -> None:
    assert measured(html, "a.html")["visible_text_count"] == num_chars


def test_a_page_needs_text_to_show() -> None:
    text = "a" * 101
    tags = "<" + "b" * 402 + ">"
    assert {"visible_text_ratio", "visible_text_count"} & set(broken(text + tags, "a.html")) == set()
    assert "visible_text_count" in broken(text[1:] + tags[:-3] + ">", "a.html")
    assert "visible_text_ratio" in broken(text + tags + "<i>", "a.html")
    assert measured(text)["visible_text_count"] is None


def test_an_unknown_language_is_null_and_drops_nothing() -> None:
    signals = measured(body() + "# todo\n" * 9, "a.zzz")
    assert signals["language"] is None
    names = ("comment_ratio", "string_ratio", "todo_line_ratio", "assert_line_ratio", "print_line_ratio")
    assert [signals[name] for name in names] == [None] * 5


def test_secrets_are_counted() -> None:
    assert measured(f'key = "{KEY}"\n')["secret_count"] == 1
    assert Code().secret_count.is_open


def test_bounds_by_programming_language() -> None:
    text = body() + "0123456789" * 20
    rules = {"visible_digit_ratio": {"max": 0.9}, "line_count": {"max": 10}}
    assert "visible_digit_ratio" in broken(text)
    assert "visible_digit_ratio" in broken(text, "a.sh", by_code_language={"python": rules})
    found = broken(text, by_code_language={"python": rules})
    assert "visible_digit_ratio" not in found
    assert "line_count" in found
    stage = Code.model_validate({"by_code_language": {"python": rules}})
    assert stage.by_code_language["python"]["line_count"] == Bounds(min=10, max=10), (
        "a partial bound keeps its other end"
    )
    assert Code.model_validate(stage.model_dump(mode="json")) == stage


def test_overrides_of_both_kinds_apply() -> None:
    stage = Code.model_validate(
        {"by_language": {"en": {"line_count": {"min": 1}}}, "by_code_language": {"python": {"char_count": {"min": 1}}}}
    )
    batch = TextBatch.from_texts(["short", "short"], path=["a.py", "a.js"])
    _, columns = run_stage(stage, batch)
    masks = decide(stage, columns, pa.array(["de", "en"]))
    assert masks["line_count"].tolist() == [True, False]
    assert masks["char_count"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"pythonn": {}}, "Did you mean 'python'"),
        (
            {"python": {"line_cout": {"min": 1}}},
            "by_code_language.python has no signal 'line_cout'. Did you mean 'line_count'",
        ),
        ({"python": 3}, "by_code_language maps a language to bounds"),
    ],
)
def test_wrong_overrides_are_told(overrides: Any, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        Code.model_validate({"by_code_language": overrides})


def test_looking_into_files_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.heuristics import code

    code._magika.cache_clear()
    monkeypatch.setitem(sys.modules, "magika", None)
    with pytest.raises(StageError, match=r"pip install 'tamis\[code\]'"):
        Code(detect="magika").setup()


def test_looking_into_files() -> None:
    pytest.importorskip("magika", reason="detection needs magika: pip install 'tamis[code]'")
    text = "import os\n\n\ndef main() -> None:\n    for name in os.listdir('.'):\n        print(name)\n" * 4
    assert measured(text, "unnamed")["language"] is None
    assert measured(text, "unnamed", detect="magika")["language"] == "python"


def test_the_preset_runs_on_a_folder_of_sources(tmp_path: Any) -> None:
    import pipeline

    sources = tmp_path / "in"
    sources.mkdir()
    (sources / "good.py").write_text(body() + f"# mail bob@x.com, {KEY}\n")
    (sources / "short.py").write_text("x = 1\n")
    (sources / "binary.bin").write_bytes(b"\xff\xfe\x00\x01")
    run = pipeline.run("configs/code.yaml", input=str(sources), output=str(tmp_path / "run"), workers=1)
    assert run.documents.to_table()["id"].to_pylist() == ["good.py"]
    assert "[EMAIL], [API_KEY]" in run.documents.to_table()["text"][0].as_py()
    assert dict(zip(*run.signals.to_table(columns=["id", "dropped_by"]).to_pydict().values(), strict=True)) == {
        "good.py": None,
        "short.py": "code.char_count",
    }


def test_the_preset_has_the_published_bounds() -> None:
    stage = load_config("configs/code.yaml").stages[0]
    assert stage.by_code_language["json"]["char_count"] == Bounds(min=50, max=5000)
    assert stage.by_code_language["sql"]["visible_digit_ratio"] == Bounds(max=0.3)
