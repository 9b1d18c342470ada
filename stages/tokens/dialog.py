"""Dialogs in the format of Llama 3's instruction models: token ids, and what of them is to be learnt.

    <|start_header_id|>ROLE<|end_header_id|>⏎⏎CONTENT<|eot_id|>       for every message

as in `ChatFormat.encode_message` of the published code: the content without white space at its ends, role and content
as plain text, so that no message can place a special token. `<|begin_of_text|>` comes with packing, as before any
document.

A dialog is a list of messages with `role` (any word) and `content`; a JSON string of such a list is one as well,
because that is how JSONL files come in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.text.batch import Utf8
from stages.tokens.ids import Ids

Message = tuple[str, str]
LEARNT_ROLE = "assistant"


class Encodes(Protocol):
    """What encodes text: `stages.tokens.bpe.Encoder` and `stages.tokens.library.LibraryEncoder`."""

    @property
    def specials(self) -> Mapping[str, int]: ...

    def encode(self, utf8: Utf8) -> Ids: ...


def read_messages(value: Any) -> list[Message]:
    """Role and content of every message. Raises ValueError that says which one is none, and why."""
    if isinstance(value, (str, bytes)):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the messages are no JSON: {error}") from error
    if not isinstance(value, list) or not value:
        raise ValueError("the messages are no list of at least one")
    return [_read_message(number, message) for number, message in enumerate(value, 1)]


def _read_message(number: int, message: Any) -> Message:
    if not isinstance(message, dict):
        raise ValueError(f"message {number} is {type(message).__name__}, not a role and a content")
    found = []
    for key in ("role", "content"):
        text = message.get(key)
        if not isinstance(text, str):
            raise ValueError(f"message {number}: {key} is {'missing' if text is None else type(text).__name__}")
        found.append(text)
    if not found[0].strip():
        raise ValueError(f"message {number}: role is empty")
    return found[0], found[1]


def text_of(messages: Sequence[Message]) -> str:
    """What stages that measure text see of a dialog: the contents, a blank line between any two."""
    return "\n\n".join(content for _, content in messages)


def read_column(column: pa.Array) -> list[list[Message] | ValueError | None]:
    """The dialogs of a column: their messages, what is wrong with them, or None for null."""
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:  # some of them are no UTF-8: one by one
        return [_read_or_error(value) for value in column]
    return [_read_or_error(value) for value in values]


def _read_or_error(value: Any) -> list[Message] | ValueError | None:
    try:
        value = value.as_py() if isinstance(value, pa.Scalar) else value
        return None if value is None else read_messages(value)
    except ValueError as error:
        return error


def render(dialogs: Sequence[Sequence[Message]], encoder: Encodes) -> tuple[Ids, npt.NDArray[np.uint8]]:
    """Ids of dialogs, and a mask as long: 1 on what an assistant says and on the `<|eot_id|>` after it, else 0."""
    start, end, eot = (
        np.array([encoder.specials[f"<|{name}|>"]], np.uint32)
        for name in ("start_header_id", "end_header_id", "eot_id")
    )
    parts = ["\n\n", *(part for dialog in dialogs for role, content in dialog for part in (role, content.strip()))]
    encoded = _encode(parts, encoder)
    blank = encoded[0]
    pieces: list[npt.NDArray[np.uint32]] = []
    learnt: list[bool] = []
    offsets, place = [0], 1
    for dialog in dialogs:
        length = 0
        for role, _ in dialog:
            header = np.concatenate([start, encoded[place], end, blank])
            content = np.concatenate([encoded[place + 1], eot])
            place += 2
            pieces += [header, content]
            learnt += [False, role == LEARNT_ROLE]
            length += len(header) + len(content)
        offsets.append(offsets[-1] + length)
    values = np.concatenate(pieces) if pieces else np.empty(0, np.uint32)
    mask = np.repeat(np.array(learnt, np.uint8), [len(piece) for piece in pieces])
    return Ids(values, np.array(offsets, np.int64)), mask


def _encode(texts: Sequence[str], encoder: Encodes) -> list[npt.NDArray[np.uint32]]:
    raw = [text.encode() for text in texts]
    offsets = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(text) for text in raw], out=offsets[1:])
    found = encoder.encode(Utf8(np.frombuffer(b"".join(raw), np.uint8), offsets))
    return np.split(found.values, found.offsets[1:-1])
