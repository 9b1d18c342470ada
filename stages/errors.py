"""Every error that Tamis raises on purpose; each is also the built-in it resembles.

A message says what is wrong, where, the value, and the way out.
"""


class TamisError(Exception):
    """Base of all: `except TamisError` catches what Tamis means to say to a person."""


class ConfigError(TamisError, ValueError):
    """The request was wrong: a config, a flag, a stage's field. Exit code 2."""


class InputError(TamisError, ValueError):
    """The input is not what the run was planned for: missing, changed, too many bad records."""


class StageError(TamisError, RuntimeError):
    """A stage broke its contract or failed on a batch."""


class RunError(TamisError, RuntimeError):
    """A run failed, or its directory holds what cannot be trusted."""


class MissingPartError(TamisError, ImportError):
    """An optional part is not installed; the message holds the command that installs it."""
