"""Slow, obvious twin of `pipeline.io.kernels_footer`: the footer as nested dictionaries, then looked at."""

from __future__ import annotations

from typing import Any

Typed = tuple[int, Any]
"""A value with its type in the protocol; of lists the type of the elements and their values."""


class Broken(Exception):
    """What makes no sense."""


class Reader:
    """Values of Thrift's compact protocol, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def bytes(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise Broken
        self.at += size
        return self.data[self.at - size : self.at]

    def varint(self) -> int:
        value = 0
        for place in range(10):
            byte = self.bytes(1)[0]
            value |= (byte & 127) << 7 * place
            if byte < 128:
                return value
        raise Broken

    def list_head(self) -> tuple[int, int]:
        head = self.bytes(1)[0]
        count = self.varint() if head >> 4 == 15 else head >> 4
        if count > len(self.data):
            raise Broken
        return count, head & 15

    def value(self, kind: int, in_field: bool, depth: int = 0) -> Any:
        if depth > 48:
            raise Broken
        if kind in (1, 2):
            return None if in_field else self.bytes(1)
        if kind == 3:
            return self.bytes(1)
        if kind in (4, 5, 6):
            return self.varint()
        if kind == 7:
            return self.bytes(8)
        if kind == 8:
            return self.bytes(self.varint())
        if kind in (9, 10):
            count, inner = self.list_head()
            return inner, [self.value(inner, False, depth + 1) for _ in range(count)]
        if kind == 11:
            count = self.varint()
            if count > len(self.data):
                raise Broken
            kinds = self.bytes(1)[0] if count else 0
            return [[self.value(one, False, depth + 1) for one in (kinds >> 4, kinds & 15)] for _ in range(count)]
        if kind == 12:
            return self.struct(depth)
        raise Broken

    def struct(self, depth: int = 0) -> list[tuple[int, int, Any]]:
        """(number, type, value) of every field in order."""
        fields, number = [], 0
        while (head := self.bytes(1)[0]) & 15:  # a field of type 0 ends a struct, whatever its number
            if head >> 4:
                number += head >> 4
            else:
                raw = self.varint()
                number = (raw >> 1) ^ -(raw & 1)
            fields.append((number, head & 15, self.value(head & 15, True, depth + 1)))
        return fields


def check_footer(data: bytes, repetition: list[int], definition: list[int], is_bytes: list[bool]) -> bool:
    """Whether a footer makes sense, and its row groups go with the columns."""
    try:
        footer = Reader(data).struct()
    except Broken:
        return False
    groups = [group for number, kind, (inner, values) in _lists(footer, 4) for group in values if _only(inner, values)]
    return all(_group_fits(group, repetition, definition, is_bytes) for group in groups)


def _lists(fields: list[tuple[int, int, Any]], number: int) -> list[tuple[int, int, Any]]:
    return [field for field in fields if field[:2] == (number, 9)]


def _only(inner: int, values: list[Any]) -> bool:
    if inner != 12:
        raise AssertionError("lists of something else are tried apart")
    return bool(values)


def _group_fits(group: Any, repetition: list[int], definition: list[int], is_bytes: list[bool]) -> bool:
    columns = _lists(group, 1)
    return bool(columns) and all(
        inner == 12
        and len(chunks) == len(repetition)
        and all(_chunk_fits(*each) for each in zip(chunks, repetition, definition, is_bytes, strict=True))
        for _, _, (inner, chunks) in columns
    )


def _chunk_fits(chunk: Any, repetition: int, definition: int, is_bytes: bool) -> bool:
    if any(number in (8, 9) for number, _, _ in chunk):
        return False
    for number, kind, about in chunk:
        if (number, kind) == (3, 12):
            for inner_number, inner_kind, sizes in about:
                if (inner_number, inner_kind) == (16, 12):
                    if any(number == 1 for number, _, _ in sizes) and not is_bytes:
                        return False
                    levels = {2: repetition, 3: definition}
                    for place, _, (_, counts) in [field for field in sizes if field[1] == 9 and field[0] in levels]:
                        if len(counts) not in (0, levels[place] + 1):
                            return False
    return True
