"""Footers of Parquet that Arrow would end the process for: found before it is asked, by a kernel and its twin."""

import io
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.io.footer import MAGIC, read_footer
from pipeline.io.kernels_footer import check_footer
from tests import naive_footer

TABLE = pa.table({"id": list(range(30)), "text": ["a", None, "b"] * 10, "tags": [["x"] * (i % 3) for i in range(30)]})
LEVELS = ([0, 0, 1], [1, 1, 3], [False, True, True])


def footer_of(**options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, row_group_size=7, **options)
    content = sink.getvalue()
    return content[-8 - int.from_bytes(content[-8:-4], "little") : -8]


def by_kernel(footer: bytes, levels=LEVELS) -> int:
    return check_footer(np.frombuffer(footer, np.uint8), *(np.array(part, np.int64) for part in levels))


@pytest.mark.parametrize(
    "options", [{}, {"data_page_version": "2.0", "write_page_index": True}, {"store_schema": False}]
)
def test_what_arrow_wrote_is_whole(options):
    footer = footer_of(**options)
    assert by_kernel(footer) == 0
    assert naive_footer.check_footer(footer, *LEVELS)


@pytest.mark.parametrize(
    "levels",
    [
        ([0, 0, 1], [1, 0, 3], LEVELS[2]),
        ([0, 0], [1, 1], [0, 1]),
        ([0, 0, 1], [1, 1, 3], [0, 0, 1]),
        ([0] * 4, [1] * 4, [0] * 4),
    ],
    ids=["levels", "fewer", "types", "more"],
)
def test_columns_that_its_row_groups_do_not_go_with(levels):
    footer = footer_of()
    assert by_kernel(footer, levels) == 1, "the first row group"
    assert not naive_footer.check_footer(footer, *levels)


def test_broken_footers_are_judged_as_the_twin_does():
    whole, rng, agreed = footer_of(), random.Random(3), {True: 0, False: 0}
    for _ in range(4000):
        footer = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            footer[rng.randrange(len(footer))] = rng.choice((0, 1, 0x1C, 0x29, 0xFF, rng.randrange(256)))
        del footer[rng.choice((len(footer), rng.randrange(len(footer)))) :]
        try:
            expected = naive_footer.check_footer(bytes(footer), *LEVELS)
        except AssertionError:
            continue
        assert (by_kernel(bytes(footer)) == 0) == expected
        agreed[expected] += 1
    assert min(agreed.values()) > 400


def test_nesting_without_end_is_no_footer():
    for inside in (b"\x1c" * 100_000, b"\x19\x19" * 50_000, b"\x1b\x01\xbb" * 30_000):
        assert by_kernel(inside) == -1


def test_a_file_whose_histograms_are_of_other_levels_is_an_error():
    """Asking Arrow for such a column chunk calls `terminate`."""
    sink = io.BytesIO()
    pq.write_table(TABLE.select(["text"]), sink)
    content = sink.getvalue()
    assert read_footer(io.BytesIO(content)).num_rows == 30
    name = content.rindex(b"\x04text", 0, content.rindex(b"ARROW:schema"))
    optional = content.rfind(b"\x25\x02", 0, content.index(b"\x18\x04text", content.index(b"\x18\x06schema")))
    assert 0 < optional < name, "repetition_type of the column: optional"
    broken = content[:optional] + b"\x25\x00" + content[optional + 2 :]
    with pytest.raises(pa.ArrowInvalid, match="row group 0 does not go with the columns"):
        read_footer(io.BytesIO(broken))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 3, b"x" * 100 + MAGIC, b"PAR1" + b"\0" * 20 + b"PARE"])
def test_what_is_no_parquet_file(content):
    with pytest.raises((pa.ArrowException, OSError)):
        read_footer(io.BytesIO(content))
