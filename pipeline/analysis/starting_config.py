"""A config to start from, written for one corpus: published rules, changed where the sample says why.

Published bounds stay unless one alone drops more than `LOUD` of the documents: such a bound was not made for this kind
of text, so each end that cuts off more than `TAIL` of them moves to where it does not. Then each larger language is
matched with the reference where a bound does something quite different to it. Every change says in a comment what it
rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.analysis.calibrate import Calibration, calibrate_table
from pipeline.analysis.columns import numbers
from pipeline.analysis.config_text import Path, config_content, config_text
from pipeline.analysis.profile import Profile, RuleShare, stop_words, verdicts
from pipeline.analysis.quantiles import beyond, rounded
from pipeline.config import Config, load_config
from stages.contract import Bounds, Stage
from stages.errors import ConfigError

LOUD, TAIL = 0.25, 0.1
MAIN_SHARE = 0.95
"""A language with so much of the corpus is the only one that is kept."""
APART = 0.1
"""A bound is matched by language where the shares that it cuts off differ by more."""
MIN_DOCUMENTS = 200
CHARACTERS = {"ja": 1, "zh": 1, "th": 1, "lo": 1, "km": 1, "my": 1, "ko": 2}
"""Mean word length to ask for at least where every character is a word; a Korean syllable is one character."""
TEXT_STAGES = ("gopher", "repetition", "c4", "fineweb")


def starting_config(profile: Profile, output: str = "runs/first") -> str:
    """The config as YAML, with reasons as comments; `tamis run` takes it."""
    comments: dict[Path, str] = {}
    content: dict[str, Any] = {"input": _input(profile), "output": output}
    content["stages"] = _stages(profile, comments)
    config = load_config(content)
    content = config_content(config)
    matched = _matched(profile, config)
    if matched is not None:
        content = config_content(load_config(_with_matches(content, matched, comments)))
    _recount(profile, load_config(content), comments)
    return config_text(content, _heading(profile), comments)


def _input(profile: Profile) -> dict[str, Any]:
    source = profile.source
    chosen = source.model_dump(mode="json", exclude_defaults=True)
    return {"path": chosen.pop("path"), **chosen}


def _heading(profile: Profile) -> str:
    part = "all" if profile.sample.is_whole else "a sample"
    lines = [
        f"Written by `tamis profile` from {part} of the input: {profile.documents:,} documents, "
        f"{profile.bytes / 1e6:,.1f} MB of text.",
        "Published bounds, but where a comment says why not; shares are of these documents, by that rule alone.",
        "Try another one: tamis run … --set PATH=VALUE",
    ]
    code = profile.categories.get("code", 0)
    if code > profile.documents / 2:
        lines.append(f"{code:,} documents look like source code: for those, start from configs/code.yaml.")
    return "\n".join(lines)


def _stages(profile: Profile, comments: dict[Path, str]) -> list[Any]:
    """All stages, deduplication between those that are cheap and those that are not."""
    placed: list[Any] = ["url"] if "url" in profile.sample.table.column_names else []
    share = profile.duplicates / profile.documents
    comments["stages", "exact"] = f"{share:.1%} of the sample repeat the text of another document"
    placed += ["exact", {"language": _language(profile, comments)}]
    moved = _moved(profile, comments)
    for kind in TEXT_STAGES:
        fields: dict[str, Any] = moved.get(kind, {})
        if kind == "gopher":
            fields = {**fields, **_gopher(profile, comments)}
        if kind == "c4":
            fields = {"terminal_punctuation": False, **fields}
            comments["stages", "c4", "terminal_punctuation"] = "as in FineWeb: headings, lists and code stay"
        placed.append({kind: fields})
    comments["stages", "pii"] = "addresses, numbers and keys are masked"
    placed += ["pii", "nsfw"]
    within = {"within": ["language.label"]} if _kept_languages(profile) is None else {}
    comments["stages", "minhash"] = f"near duplicates{' within a language' if within else ''}; the longest stays"
    placed.append({"minhash": {**within, "priority": ["-gopher.word_count"]}})
    comments["stages", "quality"] = "a score; drops nothing until it has a bound"
    placed.append("quality")
    return placed


def _kept_languages(profile: Profile) -> list[str] | None:
    """The one language that the corpus is in; None if there are several."""
    label, size = next(iter(profile.languages.items()), ("", 0))
    return [label] if size >= MAIN_SHARE * profile.documents else None


def _language(profile: Profile, comments: dict[Path, str]) -> dict[str, Any]:
    shares = ", ".join(f"{label} {size / profile.documents:.1%}" for label, size in list(profile.languages.items())[:8])
    comments["stages", "language"] = shares or "no document has a language"
    kept = _kept_languages(profile)
    if kept is None:
        return {"score": {"min": 0.5}}
    return {"label": kept, "score": {"min": 0.65}}


def _gopher(profile: Profile, comments: dict[Path, str]) -> dict[str, Any]:
    """Stop words of the languages that are there, and word lengths of those that are written without spaces."""
    there = [label for label, size in profile.languages.items() if size >= max(profile.documents // 200, 5)]
    words = {label: listed for label, listed in stop_words().items() if label in there}
    found: dict[str, Any] = {"stop_words": words} if words else {}
    lengths = {label: {"mean_word_length": {"min": CHARACTERS[label]}} for label in there if label in CHARACTERS}
    for label in lengths:
        path = ("stages", "gopher", "by_language", label, "mean_word_length")
        comments[path] = "a word is a character or two"
    return {**found, **({"by_language": lengths} if lengths else {})}


def _moved(profile: Profile, comments: dict[Path, str]) -> dict[str, dict[str, Any]]:
    """Fields of stages whose published bound is too loud for this corpus."""
    found: dict[str, dict[str, Any]] = {}
    by_name = {stage.name: stage for stage in profile.stages if stage.name in TEXT_STAGES}
    for rule in _loud(profile):
        kind, name = rule.rule.split(".", 1)
        decision = by_name[kind].decisions()[name]
        path = ("stages", kind, name)
        if isinstance(decision, Bounds):
            found.setdefault(kind, {})[name] = _at_tail(profile, by_name[kind], name, decision)
        else:
            found.setdefault(kind, {})[name] = False
            comments[path] = f"recorded only: it would drop {rule.share:.0%}"
    return found


def _loud(profile: Profile) -> list[RuleShare]:
    return [rule for rule in profile.rules if rule.share > LOUD and rule.rule.split(".", 1)[0] in TEXT_STAGES]


def _at_tail(profile: Profile, stage: Stage, name: str, rule: Bounds) -> dict[str, float]:
    """The ends of a bound that cut off more than `TAIL` of the documents, moved to where they do not."""
    values = numbers(profile.signals[f"{stage.name}.{name}"])
    found: dict[str, float] = {}
    for end, limit in rule.ends.items():
        if beyond(values, limit, end) > TAIL * profile.documents:
            at = np.quantile(values, TAIL if end == "min" else 1 - TAIL, method="inverted_cdf")
            moved = rounded(float(at), values, end)
            found[end] = int(moved) if moved.is_integer() else moved
    return found


def _recount(profile: Profile, config: Config, comments: dict[Path, str]) -> None:
    """Say of every bound that moved what it dropped and what it drops, both ends and all languages together."""
    placed = [stage for stage in config.stages if stage.name in TEXT_STAGES]
    masks = {f"{stage.name}.{name}": mask for stage, name, mask in verdicts(placed, profile.signals)}
    for rule in _loud(profile):
        path = ("stages", *rule.rule.split(".", 1))
        if path not in comments:
            share = masks[rule.rule].mean()
            comments[path] = f"published: {rule.bound}, which drops {rule.share:.0%} of this; here {share:.0%}"


def _matched(profile: Profile, config: Config) -> Calibration | None:
    """Bounds by language that the sample is large enough to match; None where it is not, or there is one language."""
    if _kept_languages(profile) is not None or not profile.languages:
        return None
    large = [label for label, size in profile.languages.items() if size >= MIN_DOCUMENTS]
    reference = "en" if "en" in large else next(iter(large), None)
    others = [label for label in large if label != reference]
    if reference is None or not others:
        return None
    try:
        return calibrate_table(profile.signals, config, reference, others, min_documents=MIN_DOCUMENTS)
    except ConfigError:
        return None


def _with_matches(content: Mapping[str, Any], matched: Calibration, comments: dict[Path, str]) -> dict[str, Any]:
    """The config with the matches that matter."""
    stages = [dict(entry) if isinstance(entry, dict) else {entry: {}} for entry in content["stages"]]
    for match in matched.changes:
        if abs(match.share_before - match.target) <= APART or match.after is None:
            continue
        kind, name = match.signal.split(".", 1)
        fields = next(entry for entry in stages if kind in entry)
        own = fields[kind] = dict(fields[kind] or {})
        blocks = own["by_language"] = {key: dict(value) for key, value in own.get("by_language", {}).items()}
        rule = blocks.setdefault(match.language, {})
        rule[name] = {**rule.get(name, {}), match.end: match.after}
        path = ("stages", kind, "by_language", match.language, name)
        comments[path] = (
            f"cuts off {match.share_after:.0%}, as of {matched.reference} ({match.target:.0%}); "
            f"without this {match.share_before:.0%}"
        )
    return {**content, "stages": [entry if next(iter(entry.values())) else next(iter(entry)) for entry in stages]}
