"""Every error that Tamis raises on purpose; each is also the built-in it resembles.

A message says what is wrong, where, the value, and the way out.
"""


class TamisError(Exception):
    """Base of all: `except TamisError` catches what Tamis means to say to a person."""

    exit_code = 1
    """What the command ends with: 1 the run failed, 2 the request was wrong."""


class ConfigError(TamisError, ValueError):
    """The request was wrong: a config, a flag, a stage's field."""

    exit_code = 2


class InputError(TamisError, ValueError):
    """The input is not what the run was planned for: it has changed, or too many of its records are bad."""


class MissingInputError(InputError):
    """The request names input that is not there: no such file, no such column, no known format."""

    exit_code = 2


class StageError(TamisError, RuntimeError):
    """A stage broke its contract or failed on a batch."""


class AssetError(StageError):
    """The request names a file for a stage, a model or a list, that is not there or cannot be read."""

    exit_code = 2


class RunError(TamisError, RuntimeError):
    """A run failed, or its directory holds what cannot be trusted."""


class StorageError(RunError):
    """Files cannot be reached, though they should be there: a disk or a store that fails. It may pass."""


class DiskFullError(RunError):
    """There is no room for what a run writes."""


class MissingPartError(TamisError, ImportError):
    """An optional part is not installed; the message holds the command that installs it."""

    exit_code = 2
