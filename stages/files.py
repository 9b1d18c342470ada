"""Files that stages read besides documents: models, and lists that a user names.

A list is a text file with an entry a line, or a column of a Parquet file: `lists/adult.parquet:domain`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from stages.errors import AssetError


def path_and_column(file: str) -> tuple[Path, str | None]:
    """The file that a list is in, and its column if it is a Parquet file."""
    path, colon, column = file.rpartition(":")
    return (Path(path), column) if colon and path.endswith(".parquet") else (Path(file), None)


def read_list(file: str) -> list[str]:
    """The entries of a list, stripped, without empty ones. Raises AssetError when it cannot be read."""
    import pyarrow as pa

    path, column = path_and_column(file)
    try:
        if column is not None:
            import pyarrow.parquet as pq

            values = pq.read_table(path, columns=[column])[column].to_pylist()
        else:
            values = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError, pa.ArrowException, KeyError) as error:
        raise AssetError(f"the list {file} cannot be read: {error}") from error
    return [value.strip() for value in values if value and value.strip()]


def read_bytes(path: str) -> bytes:
    """The bytes of a file on a disk or behind any URL that fsspec knows, decompressed by its ending (`.gz`, `.zst`, …).

    Raises AssetError when it cannot be read.
    """
    import fsspec

    try:
        with fsspec.open(path, "rb", compression="infer") as file:
            return bytes(file.read())
    except (OSError, EOFError, ValueError, ImportError) as error:
        raise AssetError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, or of what is behind a URL: part of a run's fingerprint. Raises AssetError when it cannot be
    read."""
    import fsspec

    try:
        with fsspec.open(str(path), "rb") if "://" in str(path) else open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError, ImportError) as error:
        raise AssetError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
