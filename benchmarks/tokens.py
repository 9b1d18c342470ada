"""Token ids of a whole corpus beside tiktoken's: the same ids, and how fast, on one core.

    python -m benchmarks.corpus --output CORPUS
    python -m benchmarks.tokens CORPUS [--limit MB] [--tokenizer-json FILE]

CORPUS is a folder of Parquet files with `text` and, if there is one, `lang`. Every text of a file and language is
encoded by both: by tiktoken with `encode_ordinary`, one text after the other; by `stages.tokens.bpe` with the memo as
all texts before have left it (running: what a worker has). Which of the two is first to read a text changes from group
to group, since the second finds it in the processor's cache. Afterwards come a pass with an empty memo (cold) and one
with the memo as `running` has left it (warm). All ids are compared. Seconds are processor time of the one thread that
works, so that neighbours disturb little. With a `tokenizer.json` of the same vocabulary, the first file goes through
the library tokenizers too, on one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from stages.text.batch import Utf8
    from stages.tokens.bpe import Encoder, Memo
    from stages.tokens.ids import Ids

NAMES = ("tiktoken", "cold", "running", "warm")
ROW = "{:8} {:8.1f} MB {:6.2f} bytes/token   tiktoken {:6.1f}   cold {:6.1f}   running {:6.1f}   warm {:6.1f} MB/s   " \
    "{:5.1f}x {:5.1f}x {:5.1f}x"  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--limit", type=float, default=float("inf"), help="MB of text, all by default")
    parser.add_argument("--tokenizer-json", type=Path)
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from stages.text.batch import TextBatch
    from stages.tokens.bpe import Encoder, Memo
    from stages.tokens.tokens import load_encoder
    from tests.naive_tokens import reference

    encoder, tiktoken = load_encoder("llama3"), reference()
    assert isinstance(encoder, Encoder)
    encoder.encode_text("compiled")
    seconds: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(NAMES, 0.0))
    sizes: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    different = documents = num_groups = 0
    memo = Memo()
    files = sorted(options.corpus.glob("*.parquet")) if options.corpus.is_dir() else [options.corpus]
    for file in files:
        for lang, texts in _by_language(file):
            utf8 = TextBatch(pa.table({"id": pa.nulls(len(texts), pa.string()), "text": texts})).utf8
            strings = texts.to_pylist()
            spent = seconds[lang]
            ours_first = num_groups % 2 == 0
            num_groups += 1
            if ours_first:
                _timed(encoder, memo, utf8, spent, "running")
            start = time.thread_time()
            expected = [tiktoken.encode_ordinary(text) for text in strings]
            spent["tiktoken"] += time.thread_time() - start
            if not ours_first:
                _timed(encoder, memo, utf8, spent, "running")
            _timed(encoder, Memo(), utf8, spent, "cold")
            found = _timed(encoder, memo, utf8, spent, "warm")
            parts = np.split(found.values, found.offsets[1:-1])
            different += sum(not np.array_equal(part, ids) for part, ids in zip(parts, expected, strict=True))
            documents += len(strings)
            sizes[lang] += int(utf8.offsets[-1] - utf8.offsets[0])
            counts[lang] += len(found.values)
        print(f"{file.name}: {sum(sizes.values()) / 1e6:.0f} MB, {different} documents differ", file=sys.stderr)
        if sum(sizes.values()) > 1e6 * options.limit:
            break
    for lang in sorted(sizes, key=sizes.__getitem__, reverse=True)[:40]:
        print(_row(lang, sizes[lang], counts[lang], seconds[lang]))
    total = {name: sum(spent[name] for spent in seconds.values()) for name in NAMES}
    print(_row("all", sum(sizes.values()), sum(counts.values()), total))
    tables = [encoder.vocabulary.pairs, encoder.vocabulary.words, encoder.vocabulary.bits, encoder.vocabulary.slots]
    print(
        f"{documents} documents in {len(sizes)} languages, {different} with other ids than tiktoken's; memo "
        f"{memo.num_bytes >> 20} MiB, tables {sum(table.nbytes for table in tables) >> 20} MiB"
    )
    if options.tokenizer_json:
        _library(options.tokenizer_json, files[0], encoder)
    if different:
        sys.exit(1)


def _timed(encoder: Encoder, memo: Memo, utf8: Utf8, spent: dict[str, float], name: str) -> Ids:
    """Ids of some texts by an encoder that remembers what is in a memo; the seconds are added to those of that name."""
    encoder._memos = [memo]
    start = time.thread_time()
    found = encoder.encode(utf8)
    spent[name] += time.thread_time() - start
    return found


def _by_language(file: Path) -> list[tuple[str, Any]]:
    """The texts of a file, language by language, those of one together."""
    table = pq.read_table(file)
    texts = table["text"].cast(pa.large_string()).combine_chunks()
    if "lang" not in table.column_names:
        return [("-", texts)]
    langs = pc.fill_null(table["lang"], "-").combine_chunks()
    return [(lang, texts.filter(pc.equal(langs, lang))) for lang in sorted(langs.unique().to_pylist())]


def _library(path: Path, file: Path, encoder: Any) -> None:
    from stages.text.batch import TextBatch
    from stages.tokens.library import read_library

    library = read_library(path)
    texts = pq.read_table(file, columns=["text"])["text"].slice(0, 5000)
    utf8 = TextBatch(pa.table({"id": pa.nulls(len(texts), pa.string()), "text": texts})).utf8
    rates = []
    for one in (library, encoder):
        start = time.thread_time()
        found = one.encode(utf8)
        rates.append((utf8.offsets[-1] - utf8.offsets[0]) / 1e6 / (time.thread_time() - start))
        rates.append(len(found.values))
    print(f"tokenizers {rates[0]:.1f} MB/s ({rates[1]} ids), stages.tokens.bpe {rates[2]:.1f} MB/s ({rates[3]} ids)")


def _row(name: str, size: int, count: int, spent: dict[str, float]) -> str:
    rates = [size / 1e6 / max(spent[name], 1e-9) for name in NAMES]
    return ROW.format(name, size / 1e6, size / max(count, 1), *rates, *(rate / rates[0] for rate in rates[1:]))


if __name__ == "__main__":
    main()
