"""Token ids of some documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Ids:
    """Ids of `n` documents: those of document `d` are `values[offsets[d]:offsets[d + 1]]`."""

    values: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]
