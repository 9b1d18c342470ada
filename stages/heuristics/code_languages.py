"""Programming languages: their files, and how they write comments and strings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stages.text.ascii_table import padded

C_BLOCK = (("/*", "*/"),)
HTML_BLOCK = (("<!--", "-->"),)
MAX_TOKENS, MAX_TOKEN_BYTES = 5, 12


@dataclass(frozen=True)
class Syntax:
    """How a language writes comments and strings: as much as telling them apart from code takes.

    `spaced`: a line comment begins a line or follows white space (`$#x` is none in shell); `at_start`: it is the first
    thing on its line; `escaped`: none behind a backslash (TeX). `quotes` end on their line or are none, `wide_quotes`
    may hold newlines, `triple` says that three quotes do too. `docstrings` as in Python.
    """

    endings: str
    line: tuple[str, ...] = ()
    block: tuple[tuple[str, str], ...] = ()
    quotes: str = ""
    wide_quotes: str = ""
    triple: bool = False
    docstrings: bool = False
    nested: bool = False
    spaced: bool = False
    at_start: bool = False
    escaped: bool = False
    names: str = ""


LANGUAGES: dict[str, Syntax] = {
    "ada": Syntax("adb ads", ("--",), quotes='"'),
    "assembly": Syntax("asm s", (";", "#"), C_BLOCK, '"', spaced=True),
    "awk": Syntax("awk gawk", ("#",), quotes='"'),
    "batch": Syntax("bat cmd", ("REM ", "rem ", "@REM ", "@rem ", "::"), at_start=True),
    "c": Syntax("c h", ("//",), C_BLOCK, "\"'"),
    "c#": Syntax("cs csx", ("//",), C_BLOCK, "\"'"),
    "c++": Syntax("cpp cc cxx hpp hh hxx cu cuh ino tpp", ("//",), C_BLOCK, "\"'"),
    "clojure": Syntax("clj cljs cljc", (";",), wide_quotes='"'),
    "cmake": Syntax("cmake", ("#",), (("#[[", "]]"),), wide_quotes='"', names="cmakelists.txt"),
    "coffeescript": Syntax("coffee", ("#",), (("###", "###"),), "\"'", triple=True),
    "css": Syntax("css", block=C_BLOCK, quotes="\"'"),
    "csv": Syntax("csv tsv"),
    "d": Syntax("d di", ("//",), (("/*", "*/"), ("/+", "+/")), wide_quotes='"`'),
    "dart": Syntax("dart", ("//",), C_BLOCK, "\"'", triple=True, nested=True),
    "dockerfile": Syntax("dockerfile", ("#",), quotes="\"'", at_start=True, names="dockerfile containerfile"),
    "elixir": Syntax("ex exs", ("#",), quotes="\"'", triple=True),
    "erlang": Syntax("erl hrl", ("%",), wide_quotes='"'),
    "f#": Syntax("fs fsi fsx", ("//",), (("(*", "*)"),), wide_quotes='"', triple=True, nested=True),
    "fortran": Syntax("f90 f95 f03 f08 for f f77", ("!",), quotes="\"'"),
    "go": Syntax("go", ("//",), C_BLOCK, "\"'", "`"),
    "graphql": Syntax("graphql gql", ("#",), quotes='"', triple=True),
    "groovy": Syntax("groovy gradle", ("//",), C_BLOCK, "\"'", triple=True),
    "haskell": Syntax("hs", ("--",), (("{-", "-}"),), '"', nested=True),
    "html": Syntax("html htm xhtml vue svelte", block=HTML_BLOCK),
    "ini": Syntax("ini cfg conf properties", ("#", ";"), at_start=True),
    "java": Syntax("java", ("//",), C_BLOCK, "\"'", triple=True),
    "javascript": Syntax("js mjs cjs jsx es6", ("//",), C_BLOCK, "\"'", "`"),
    "json": Syntax("json jsonl geojson ipynb webmanifest"),
    "julia": Syntax("jl", ("#",), (("#=", "=#"),), '"', triple=True, nested=True),
    "kotlin": Syntax("kt kts", ("//",), C_BLOCK, "\"'", triple=True, nested=True),
    "lisp": Syntax("lisp lsp cl el", (";",), (("#|", "|#"),), wide_quotes='"', nested=True),
    "lua": Syntax("lua", ("--",), (("--[[", "]]"),), "\"'"),
    "m4": Syntax("m4 ac", ("dnl", "#"), spaced=True),
    "makefile": Syntax("mk mak", ("#",), spaced=True, names="makefile gnumakefile"),
    "markdown": Syntax("md markdown mdx", block=HTML_BLOCK),
    "objective-c": Syntax("mm", ("//",), C_BLOCK, "\"'"),
    "ocaml": Syntax("ml mli", block=(("(*", "*)"),), wide_quotes='"', nested=True),
    "pascal": Syntax("pas pp dpr", ("//",), (("(*", "*)"), ("{", "}")), "'"),
    "perl": Syntax("pl pm t", ("#",), (("=pod\n", "=cut"), ("=head1 ", "=cut")), wide_quotes="\"'", spaced=True),
    "php": Syntax("php phtml php3 php5", ("//", "#"), C_BLOCK, wide_quotes="\"'"),
    "powershell": Syntax("ps1 psm1 psd1", ("#",), (("<#", "#>"),), wide_quotes="\"'"),
    "protobuf": Syntax("proto", ("//",), C_BLOCK, "\"'"),
    "python": Syntax("py pyi pyx pxd pyw", ("#",), quotes="\"'", triple=True, docstrings=True),
    "r": Syntax("r", ("#",), wide_quotes="\"'"),
    "restructuredtext": Syntax("rst"),
    "ruby": Syntax("rb rake gemspec", ("#",), (("=begin", "=end"),), wide_quotes="\"'", spaced=True, names="rakefile"),
    "rust": Syntax("rs", ("//",), C_BLOCK, wide_quotes='"', nested=True),
    "scala": Syntax("scala sc sbt", ("//",), C_BLOCK, '"', triple=True, nested=True),
    "scheme": Syntax("scm ss rkt", (";",), (("#|", "|#"),), wide_quotes='"', nested=True),
    "scss": Syntax("scss sass less", ("//",), C_BLOCK, "\"'"),
    "shell": Syntax("sh bash zsh ksh", ("#",), wide_quotes="\"'", spaced=True),
    "solidity": Syntax("sol", ("//",), C_BLOCK, "\"'"),
    "sql": Syntax("sql ddl", ("--",), C_BLOCK, "\"'"),
    "swift": Syntax("swift", ("//",), C_BLOCK, '"', triple=True, nested=True),
    "tcl": Syntax("tcl tk", ("#",), at_start=True),
    "tex": Syntax("tex sty cls bib", ("%",), escaped=True),
    "text": Syntax("txt log"),
    "toml": Syntax("toml", ("#",)),
    "typescript": Syntax("ts tsx mts cts", ("//",), C_BLOCK, "\"'", "`"),
    "verilog": Syntax("v sv svh vh", ("//",), C_BLOCK, '"'),
    "vhdl": Syntax("vhd vhdl", ("--",), quotes='"'),
    "vim": Syntax("vim", ('"',), at_start=True, names=".vimrc"),
    "visual-basic": Syntax("vb bas vbs", ("'",), quotes='"'),
    "xml": Syntax("xml svg xsd xsl xslt rss xaml plist", block=HTML_BLOCK),
    "yaml": Syntax("yaml yml", ("#",), spaced=True),
    "zig": Syntax("zig", ("//",), quotes='"'),
}
"""By the name that the signal `code.language` gives them. `.h` is taken for C, `.m` for nothing."""
NAMES = tuple(LANGUAGES)
UNKNOWN = -1
DETECTED = {"cpp": "c++", "cs": "c#", "rst": "restructuredtext", "txt": "text", "vba": "visual-basic"}
"""Magika's labels that are not our names."""
_BY_ENDING = {ending: i for i, name in enumerate(NAMES) for ending in LANGUAGES[name].endings.split()}
_BY_NAME = {file: i for i, name in enumerate(NAMES) for file in LANGUAGES[name].names.split()}


def language_of_path(path: str | None) -> int:
    """Index in NAMES of the language of a file name, path or bare ending (`py`), UNKNOWN if it says nothing."""
    name = (path or "").replace("\\", "/").rpartition("/")[2].lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    return _BY_ENDING.get(name.rpartition(".")[2], UNKNOWN)


def language_of_label(label: str) -> int:
    """Index in NAMES of a language that Magika named."""
    name = DETECTED.get(label, label)
    return NAMES.index(name) if name in LANGUAGES else UNKNOWN


SPACED, AT_START, ESCAPED, TRIPLE, DOCSTRINGS, NESTED, HAS_COMMENTS, HAS_STRINGS = (1 << bit for bit in range(8))
PLAIN, LINE_TOKEN, BLOCK_TOKEN, QUOTE, WIDE_QUOTE, BRACKET = 0, 1, 2, 4, 8, 16


@lru_cache(maxsize=1)
def syntax_tables() -> tuple[npt.NDArray[np.uint8], ...]:
    """What `kernels_code.mark_parts` needs of every language: `bytes`, `flags`, `line`, `opening`, `closing`.

    `bytes`: `uint8[n, 256]`, what may begin at a byte (LINE_TOKEN, BLOCK_TOKEN, QUOTE, …); `flags`: `uint8[n]`; the
    rest `uint8[n, MAX_TOKENS, 1 + MAX_TOKEN_BYTES]`, each token behind its length, 0 for none.
    """
    n = len(NAMES)
    starts, flags = np.zeros((n, 256), np.uint8), np.zeros(n, np.uint8)
    line, opening, closing = (np.zeros((n, MAX_TOKENS, 1 + MAX_TOKEN_BYTES), np.uint8) for _ in range(3))
    for i, syntax in enumerate(LANGUAGES.values()):
        opens, closes = tuple(o for o, _ in syntax.block), tuple(c for _, c in syntax.block)
        for tokens, table, flag in (
            (syntax.line, line, LINE_TOKEN),
            (opens, opening, BLOCK_TOKEN),
            (closes, closing, 0),
        ):
            if tokens:
                rows = padded(tokens)
                table[i, : rows.shape[0], : rows.shape[1]] = rows
                starts[i, rows[:, 1]] |= flag
        for chars, flag in (
            (syntax.quotes, QUOTE),
            (syntax.wide_quotes, WIDE_QUOTE),
            ("()[]{}" * syntax.docstrings, BRACKET),
        ):
            for char in chars:
                starts[i, ord(char)] |= flag
        has = {
            SPACED: syntax.spaced, AT_START: syntax.at_start, ESCAPED: syntax.escaped, TRIPLE: syntax.triple,
            DOCSTRINGS: syntax.docstrings, NESTED: syntax.nested, HAS_COMMENTS: bool(syntax.line or syntax.block),
            HAS_STRINGS: bool(syntax.quotes or syntax.wide_quotes),
        }  # fmt: skip
        flags[i] = sum(flag for flag, true in has.items() if true)
    return starts, flags, line, opening, closing
