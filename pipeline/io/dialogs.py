"""Columns of dialogs as the text of documents: `input: {text: messages}`.

Stages that measure text see the contents of the messages, a blank line between any two; the column itself travels
along, for `tokens: {messages: messages}` to render.
"""

from __future__ import annotations

import pyarrow as pa

from stages.tokens.dialog import read_column, text_of


def is_dialog(type_: pa.DataType) -> bool:
    """Whether a column of that type may hold dialogs: lists of structs with a role and a content."""
    if not (pa.types.is_list(type_) or pa.types.is_large_list(type_)):
        return False
    item = type_.value_type
    return pa.types.is_struct(item) and {"role", "content"} <= {field.name for field in item}


def texts_of(column: pa.Array) -> tuple[pa.Array, dict[int, tuple[str, str]]]:
    """The text of every dialog, `large_binary`, null where there is none, and why some are no dialogs, by place."""
    dialogs = read_column(column)
    texts = [text_of(dialog).encode() if isinstance(dialog, list) else None for dialog in dialogs]
    faults = {
        place: ("bad_dialog", str(dialog)) for place, dialog in enumerate(dialogs) if isinstance(dialog, ValueError)
    }
    return pa.array(texts, pa.large_binary()), faults
