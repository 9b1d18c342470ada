"""The footer of a Parquet file, read with care.

Arrow (25) builds what it knows of a column chunk when it is asked for it, and throws there for a chunk that does not go
with the schema (an encrypted one, histograms of other levels than the column's, fewer chunks than columns). Its Python
binding does not catch that, so a damaged file would end the process. Here the footer is walked before anybody asks.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MAGIC = b"PAR1"
TAIL_BYTES = 64 << 10
"""Read at first; most footers are shorter."""


def read_footer(stream: Any) -> pq.FileMetaData:
    """A Parquet file's metadata.

    Raises pa.ArrowException or OSError for what is no Parquet file, is damaged, or is encrypted.
    """
    from pipeline.io.kernels_footer import check_footer

    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - TAIL_BYTES))
    tail = stream.read(TAIL_BYTES)
    if len(tail) < 12 or tail[-4:] != MAGIC:
        raise pa.ArrowInvalid("it does not end as a Parquet file does")
    (length,) = struct.unpack("<I", tail[-8:-4])
    if length > size - 12:
        raise pa.ArrowInvalid(f"its footer would be {length} bytes, the file has {size}")
    if length + 8 > len(tail):
        stream.seek(size - length - 8)
        tail = stream.read(length + 8)
    try:
        metadata = pq.read_metadata(pa.BufferReader(MAGIC + tail[-length - 8 :]))
        metadata.schema.to_arrow_schema()
    except UnicodeDecodeError as error:
        raise pa.ArrowInvalid(f"its footer holds a name that is no UTF-8: {error}") from error
    columns = [metadata.schema.column(i) for i in range(len(metadata.schema))]
    levels = [
        np.array(values, np.int64)
        for values in (
            [column.max_repetition_level for column in columns],
            [column.max_definition_level for column in columns],
            [column.physical_type == "BYTE_ARRAY" for column in columns],
        )
    ]
    if found := check_footer(np.frombuffer(tail, np.uint8)[len(tail) - length - 8 :], *levels):
        what = f"row group {found - 1} does not go with the columns, or is encrypted" if found > 0 else "it is damaged"
        raise pa.ArrowInvalid(f"its footer cannot be used: {what}")
    return metadata
