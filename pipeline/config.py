"""A run's config: YAML in, validated models out, every error with its line and the way out.

A config may start from a preset (`extends: fineweb`, one of `configs/`, or a path relative to itself): its own keys
replace the preset's, whole blocks at `stages`, key by key in `input` and `execution`. A block `set:` has single values
by their paths (`stages.gopher.word_count.min: 100`), as `--set` on the command line. Paths of input and output are
relative to the current directory.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

import stages as registry
from pipeline.executors.settings import Needs, Ray, Slurm
from pipeline.io.input import SECRET, Input, has_secret
from pipeline.overrides import apply_override, put
from pipeline.yaml_lines import Located
from pipeline.yaml_lines import Path as KeyPath
from stages.contract import Bounds, Stage
from stages.errors import ConfigError

CHECKOUT, INSTALLED = Path(__file__).parents[1] / "configs", Path(sys.prefix, "share", "tamis", "configs")
PRESETS = CHECKOUT if (CHECKOUT / "quickstart.yaml").is_file() else INSTALLED
LANGUAGE = "language.label"


class Execution(BaseModel):
    """How a run is done. Only `batch_bytes`, `seed`, the rates and the sizes can change what is written."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    executor: Literal["local", "slurm", "ray"] = "local"
    """Who runs the tasks: the cores of this machine, or a cluster's. The bytes are the same."""
    workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Tasks at a time; `auto` is one a core of this machine, or as many as the cluster gives."""
    slurm: Slurm = Slurm()
    """What jobs on a Slurm cluster ask for."""
    ray: Ray = Ray()
    """Where Ray is, and what its jobs reserve."""
    max_tries: int = Field(5, ge=1)
    """Times that a task is begun whose worker dies, hangs or meets a fault that may pass."""
    on_failure: Literal["stop", "set_aside"] = "stop"
    """What becomes of a run when a task cannot be done: it stops, or the documents of that task are set aside, listed
    with the cause, and the run goes on to its end (exit code 1)."""
    task_timeout_s: float | None = Field(None, gt=0)
    """Seconds after which a task hangs: its worker is ended, and another one tries. Absent: never."""
    max_errors: int = Field(1000, ge=0)
    """Records that may be unreadable; one more stops the run."""
    batch_bytes: int = Field(16 << 20, gt=0)
    """Text that a worker holds at a time."""
    sample_bytes: int = Field(32 << 20, gt=0)
    """Text that stages which hold documents against their corpus learn from, taken evenly from all of the input."""
    task_bytes: int = Field(8 << 20, gt=0)
    """Small shards are put together until a task has this many bytes to read."""
    partition_bytes: int = Field(1 << 30, gt=0)
    """A barrier compares the corpus in parts of about so much input; a worker holds the keys of one."""
    output_bytes: int = Field(256 << 20, gt=0)
    """Text in a file of `documents/`, about."""
    rejected_rate: float = Field(0.01, ge=0, le=1)
    """Share of the dropped documents whose text is kept in `rejected/`; the first 20 of each rule in each task always
    are."""
    shadow_rate: float = Field(0.01, ge=0, le=1)
    """Share of the dropped documents that later stages go on to measure, for `shadow/`: what a looser bound would have
    let through, and what would have become of it. Those of `rejected/`, as far as both rates reach."""
    seed: int = Field(0, ge=0)
    """Changes which documents a sample takes."""


class Config(BaseModel):
    """A whole config, resolved: stages are models, presets and overrides are applied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Input
    output: str
    stages: tuple[SerializeAsAny[Stage], ...]
    execution: Execution = Field(default_factory=lambda: Execution.model_validate({}))


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any] | Config,
    *,
    overrides: Sequence[str] = (),
    input: str | None = None,
    output: str | None = None,
    profile: Path | None = None,
) -> Config:
    """Read and check a config.

    Args:
        source: a YAML file, the name of a preset, the same as a dictionary, or a Config.
        overrides: `stages.gopher.word_count.min=100`: a path, `=`, a YAML value. Stages are addressed by name.
        input, output: replace `input.path` and `output`.
        profile: a YAML file with an `execution:` block, for all that the config's own leaves open.

    Raises ConfigError with file and line, what is wrong and what to write instead.
    """
    if isinstance(source, Config):
        source = dump_config(source)
    located = _read(source)
    content = _extended(located)
    if profile is not None:
        block = content.get("execution")
        content["execution"] = _over(_profile(profile), block if isinstance(block, Mapping) else {})
    for override in overrides:
        apply_override(content, override)
    if input is not None:
        before = content.get("input")
        content["input"] = {**(before if isinstance(before, dict) else {}), "path": input}
    if output is not None:
        content["output"] = output
    return _Checker(located, overrides).config(content)


def profile_path() -> Path | None:
    """The user's profile: the file that TAMIS_PROFILE names, or `~/.config/tamis/profile.yaml`; None without one."""
    if named := os.environ.get("TAMIS_PROFILE"):
        return Path(named)
    usual = Path("~/.config/tamis/profile.yaml").expanduser()
    return usual if usual.is_file() else None


def _profile(path: Path) -> dict[str, Any]:
    """The `execution:` block of a profile, checked by itself so that errors name its file."""
    located = _read(path)
    for key in located.content:
        if key != "execution":
            raise ConfigError(f"{located.place((key,))}: a profile has the key execution, and no '{key}'")
    block = located.content.get("execution") or {}
    _Checker(located).model(Execution, block, ("execution",), "execution")
    return dict(block)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two blocks in one, key by key at every depth; what lies above wins."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _over(merged[key], value) if both else value
    return merged


def build_stages(specs: Sequence[str | Mapping[str, Any]]) -> list[Stage]:
    """Stages as a config's `stages:` has them. Raises ConfigError."""
    placed = _Checker(Located("", "stages")).stages(list(specs))
    return placed


def read_input(fields: Mapping[str, Any]) -> Input:
    """An `input:` block by itself. Raises ConfigError."""
    checked: Input = _Checker(Located("", "input")).model(Input, fields, (), "input")
    return checked


def dump_config(config: Config) -> dict[str, Any]:
    """The resolved config as JSON; `load_config` reads it back."""
    content = config.model_dump(mode="json", exclude={"stages"})
    content["stages"] = [{_registered_name(stage): _dump_stage(stage)} for stage in config.stages]
    return content


def _dump_stage(stage: Stage) -> dict[str, Any]:
    """The fields of a stage; of bounds that override others, the ends that were written, so that the other end goes on
    following the stage's own."""
    fields = stage.model_dump(mode="json")
    for kind in ("by_language", *stage.own_overrides):
        fields[kind] = {
            label: {name: rule.model_dump(mode="json", exclude_unset=True) for name, rule in rules.items()}
            for label, rules in getattr(stage, kind).items()
        }
    return fields


def _registered_name(stage: Stage) -> str:
    name = registry.name_of(type(stage))
    if name is not None:
        return name
    home = f"{type(stage).__module__}:{type(stage).__qualname__}"
    raise ConfigError(f"{home} is not registered as a stage; give its package an entry point in the group tamis.stages")


def _read(source: str | os.PathLike[str] | Mapping[str, Any]) -> Located:
    if isinstance(source, Mapping):
        located = Located("", "config")
        located.content = dict(source)
        return located
    path = _find(os.fspath(source), Path())
    try:
        located = Located(path.read_text(encoding="utf-8"), str(source))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} cannot be read: {error}") from error
    if not isinstance(located.content, dict):
        raise ConfigError(f"{source}:1: a config is a mapping with the keys input, output, stages, execution")
    return located


def _find(name: str, folder: Path) -> Path:
    """A config file, or the preset of that name."""
    try:
        for path in (folder / name, PRESETS / f"{name}.yaml"):
            if path.is_file():
                return path
    except OSError as error:  # a name that no file can have
        raise ConfigError(f"there is no config {name[:80]}…: {error.strerror}") from error
    presets = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    siblings = [str(path) for path in (folder / name).parent.glob("*.y*ml")] if (folder / name).parent.is_dir() else []
    near = difflib.get_close_matches(name, [*presets, *siblings], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ConfigError(f"there is no config {name}.{hint} Presets: {', '.join(presets)}")


def _extended(located: Located, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The content of a config over that of the preset it extends."""
    content = dict(located.content)
    values = content.pop("set", None) or {}
    content = _over_parent(located, content, seen)
    if not isinstance(values, Mapping) or not all(isinstance(path, str) for path in values):
        raise ConfigError(f"{located.place(('set',))}: set: has paths and values: `stages.gopher.word_count.min: 100`")
    for path, value in values.items():
        try:
            put(content, path, value)
        except ConfigError as error:
            raise ConfigError(f"{located.place(('set', path))}: {error}") from error
    return content


def _over_parent(located: Located, content: dict[str, Any], seen: tuple[str, ...]) -> dict[str, Any]:
    parent = content.pop("extends", None)
    if parent is None:
        return content
    if not isinstance(parent, str):
        raise ConfigError(f"{located.place(('extends',))}: extends takes the name of a preset or the path of a config")
    try:
        path = _find(parent, Path(located.name).parent)
    except ConfigError as error:
        raise ConfigError(f"{located.place(('extends',))}: {error}") from error
    if str(path) in seen:
        raise ConfigError(f"{located.place(('extends',))}: {' extends '.join([*seen, str(path)])}: that is a circle")
    base = _extended(_read(path), (*seen, str(path)))
    for key, value in content.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        base[key] = {**base[key], **value} if both else value
    return base


class _Checker:
    """Turns plain values into models, and pydantic's errors into ours."""

    def __init__(self, located: Located, overrides: Sequence[str] = ()) -> None:
        self.located = located
        self.overrides = overrides

    def config(self, content: dict[str, Any]) -> Config:
        known = list(Config.model_fields)
        for key in content:
            if key not in known:
                near = _near(key, [*known, "extends", "set"])
                self._fail((key,), f"there is no key '{key}'.{near} A config has: {', '.join(known)}")
        for key in ("input", "output", "stages"):
            if not content.get(key):
                self._fail((key,), f"'{key}' is missing" + (" or empty" if key in content else ""))
        if not isinstance(content["output"], str):
            self._fail(("output",), f"output is the path of a run directory, not {content['output']!r}")
        source = content["input"]
        block = {"path": source} if isinstance(source, (str, list)) else source
        for key, text in [("output", content["output"]), *(("input", path) for path in _paths(block))]:
            if has_secret(text):
                self._fail((key,), f"{key}: {SECRET}")
        return Config(
            input=self.model(Input, block, ("input",), "input"),
            output=content["output"],
            stages=tuple(self.stages(content["stages"])),
            execution=self.model(Execution, content.get("execution") or {}, ("execution",), "execution"),
        )

    def stages(self, entries: Any) -> list[Stage]:
        if not isinstance(entries, list):
            self._fail(("stages",), "stages is a list: `- gopher` or `- gopher: {word_count: {min: 50}}`")
        placed: list[Stage] = []
        for i, entry in enumerate(entries):
            stage = self._stage(entry, i)
            if stage.name in [other.name for other in placed]:
                self._fail(
                    ("stages", i),
                    f"there are two stages '{stage.name}'; give one another name: {{name: {stage.name}2}}",
                )
            self._check_needs(stage, placed, i)
            placed.append(stage)
        return placed

    def _stage(self, entry: Any, i: int) -> Stage:
        if isinstance(entry, str):
            entry = {entry: {}}
        if not isinstance(entry, Mapping) or len(entry) != 1:
            self._fail(
                ("stages", i), f"a stage is a name, or a name and its fields, not {entry!r}. Each one starts with `- `"
            )
        key, fields = next(iter(entry.items()))
        try:
            cls = registry.load(str(key))
        except ConfigError as error:
            self._fail(("stages", i, key), str(error))
        fields = {} if fields is None else fields
        if isinstance(fields, Mapping):
            fields = {"name": str(key)} | dict(fields)
        return self.model(cls, fields, ("stages", i, key), str(key))

    def _check_needs(self, stage: Stage, before: list[Stage], i: int) -> None:
        given = {f"{other.name}.{name}" for other in before for name in other.signals()}
        own = {f"{stage.name}.{name}" for name in stage.signals()}
        needed = [*stage.needs, *([LANGUAGE] if stage.by_language and LANGUAGE not in own else [])]
        for signal in needed:
            if signal not in given:
                giver = signal.split(".")[0]
                self._fail(("stages", i), f"{stage.name} needs {signal}: put the stage `{giver}` before it")

    def model(self, cls: type[Any], fields: Any, path: KeyPath, name: str) -> Any:
        if not isinstance(fields, Mapping):
            self._fail(path, f"{name} takes fields, `{name}: {{field: value}}`, not {fields!r}")
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            problem = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
            at = tuple(part for part in problem["loc"] if isinstance(part, (str, int)))
            if not at and (found := re.search(r"(by_\w+)\.(\S+)", problem["msg"])):
                at = (found[1], found[2])
            self._fail((*path, *at), _in_plain_words(cls, name, at, problem))

    def _fail(self, path: KeyPath, message: str) -> Any:
        raise ConfigError(f"{self._place(path)}: {message}")

    def _place(self, path: KeyPath) -> str:
        """The override that a value came with, or its line."""
        at = [str(key) for key in path if not isinstance(key, int)]
        for override in reversed(self.overrides):
            keys = override.partition("=")[0].strip().split(".")
            if len(at) > 1 and all(mine == its for mine, its in zip(at, keys, strict=False)):
                return f"--set {override}"
        return self.located.place(path)


def _paths(block: object) -> list[str]:
    paths = block.get("path") if isinstance(block, Mapping) else None
    return [path for path in (paths if isinstance(paths, (list, tuple)) else [paths]) if isinstance(path, str)]


def _near(word: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def _in_plain_words(cls: type[BaseModel], name: str, at: KeyPath, problem: Any) -> str:
    """One pydantic error as a sentence that says what to write instead."""
    is_stage = issubclass(cls, Stage)
    see = f" See: tamis stages {name}" if is_stage else ""
    where = ".".join(map(str, (name, *at)))
    value = problem.get("input")
    if problem["type"] == "extra_forbidden":
        known = _known_fields(cls, at[:-1])
        owner = ".".join(map(str, (name, *at[:-1])))
        return (
            f"{owner} has no field '{at[-1]}'.{_near(str(at[-1]), known) or ' It has: ' + ', '.join(known) + '.'}{see}"
        )
    if (
        problem["type"] == "model_type"
        and at
        and isinstance(getattr(cls.model_fields.get(str(at[0])), "default", None), Bounds)
    ):
        if value is None:
            return f"{where} is a bound: write {{min: null, max: null}} for no limit.{see}"
        low, high = value if isinstance(value, (list, tuple)) and len(value) == 2 else (value, value)
        return f"{where} is a bound: write {{min: {low}}}, {{max: {high}}} or both, not {value!r}.{see}"
    if problem["type"] == "value_error":
        return f"{where}: {problem['msg'].removeprefix('Value error, ')}{see}"
    return f"{where}: {problem['msg']}, not {value!r}.{see}"


def _known_fields(cls: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Names of the fields of the model at a path into another one; a bound's where there is no model."""
    for part in path:
        field = cls.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ["min", "max"] if not issubclass(cls, Slurm) else list(Needs.model_fields)
        cls = inner
    return list(cls.model_fields)
