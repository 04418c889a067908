"""What each column of a reference is: its kind by its type and its values, and what scores and outcomes mean."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.errors import BadInput, nearest
from shelflife.profile import category, joint, numeric
from shelflife.profile.joint import Form

KINDS = ("numeric", "category", "boolean", "text", "time", "vector")
TASKS = ("classification", "regression")

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Roles:
    """Which columns play which part.

    Attributes
    ----------
    time
        Column of times, or None.
    prediction, outcome
        Columns, or None.
    scores
        Columns of scores: one, or one per class.
    segments
        Columns by whose values rows are also counted apart.
    exclude
        Columns that are not counted.
    kinds
        Kinds that were said rather than inferred, by column.
    task
        ``classification`` or ``regression`` where it was said.
    """

    time: str | None = None
    prediction: str | None = None
    outcome: str | None = None
    scores: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: Mapping[str, str] | None = None
    task: Task | None = None

    def check(self, names: Sequence[str], source: str) -> None:
        """Raise `BadInput` where a column is not there, or plays two parts that do not go together."""
        for option, columns in (
            ("time", [self.time]), ("prediction", [self.prediction]), ("outcome", [self.outcome]),
            ("score", self.scores), ("segments", self.segments), ("exclude", self.exclude), ("kinds", self.kinds or ()),
        ):  # fmt: skip
            for column in cast(Iterable[str | None], columns):
                if column is not None and column not in names:
                    raise BadInput(
                        f"--{option} names a column {column!r} that is not in {source}. {nearest(column, names)}"
                    )
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise BadInput(f"{source} has more than one column {twice!r}. Rename one of them.")
        parts = [name for name in (self.time, self.prediction, self.outcome, *self.scores) if name is not None]
        for name in parts:
            if parts.count(name) > 1:
                raise BadInput(f"Column {name!r} plays two parts; time, prediction, score and outcome are different.")
            if name in self.exclude:
                raise BadInput(f"Column {name!r} cannot be left out (--exclude) and play a part as well.")
        for name, kind in (self.kinds or {}).items():
            if kind not in KINDS:
                raise BadInput(f"The kind of {name!r} is one of {', '.join(KINDS)}; found {kind!r}.")
        if self.task not in (None, *TASKS):
            raise BadInput(f"--task asks for classification or regression; found {self.task!r}.")
        if self.outcome and not (self.prediction or self.scores):
            raise BadInput("--outcome needs --prediction or --score: what is the outcome to be compared with?")


def family(kind: pa.DataType) -> str | None:
    """The kind that a type speaks for; text stays ``category`` until its values are seen, None cannot be counted.

    Examples
    --------
    >>> family(pa.int8()), family(pa.string()), family(pa.list_(pa.float32())), family(pa.binary())
    ('numeric', 'category', 'vector', None)
    """
    types = pa.types
    if types.is_dictionary(kind):
        return "category" if family(kind.value_type) is not None else None
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "numeric"
    if types.is_time(kind) or types.is_duration(kind):
        return "numeric"
    if types.is_timestamp(kind) or types.is_date(kind):
        return "time"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "category"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = kind.value_type
        return "vector" if types.is_integer(inner) or types.is_floating(inner) else None
    return None


def fits(kind: str, found: pa.DataType) -> bool:
    """Whether a column of a type can be counted as `kind`; a column of nothing but missing values always can."""
    if pa.types.is_null(found):
        return True
    other = family(found)
    if kind in {"category", "text"}:
        return other in {"category", "boolean"} or (kind == "category" and other == "numeric" and _whole(found))
    if kind == "boolean":
        return other in {"boolean", "category"} or (other == "numeric" and _whole(found))
    return other == kind or (kind == "numeric" and other == "boolean")


def _whole(found: pa.DataType) -> bool:
    return bool(pa.types.is_integer(found))


def is_text(sample: pa.ChunkedArray) -> bool:
    """Whether the values are sentences rather than names: several words, and seldom the same twice.

    Examples
    --------
    >>> is_text(pa.chunked_array([["where is my card", "a card was lost", "pin does not work", "top up failed"]]))
    True
    """
    values = pc.drop_null(sample)
    if len(values) == 0:
        return False
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, pa.string())
    spaces = pc.count_substring(values, pattern=" ")
    words = pc.mean(spaces).as_py() + 1
    distinct = pc.count_distinct(values).as_py()
    return bool(words >= 3 and distinct >= 0.5 * len(values) and distinct > 3)


def task_of(roles: Roles, sample: pa.Table) -> tuple[Task, str | None]:
    """Classification or regression, and how that was inferred (None where it was said)."""
    if roles.task is not None:
        return roles.task, None
    if roles.scores:
        return "classification", None
    for column in (roles.outcome, roles.prediction):
        if column is None or column not in sample.column_names:
            continue
        values = pc.drop_null(sample[column])
        if family(values.type) in {"category", "boolean"}:
            return "classification", f"{column!r} holds names, so this is a classification."
        if len(values) and family(values.type) == "numeric":
            found, _ = numeric.to_floats(values.combine_chunks())
            distinct = np.unique(found)
            if len(distinct) <= 20 and (distinct == np.round(distinct)).all():
                said = f"{column!r} holds {len(distinct)} different whole numbers, so this is a classification."
                return "classification", said + " Say --task regression where it is not."
            return "regression", f"{column!r} holds numbers, so this is a regression."
    return "classification", None


def joint_of(roles: Roles, sample: pa.Table) -> tuple[joint.Joint, tuple[str, ...]]:
    """How what was said and what was true are counted for a classifier, and what was inferred."""
    for name in roles.scores:
        _check_chances(name, sample[name])
    true, said = (Counter() if c is None else _tallied(sample[c]) for c in (roles.outcome, roles.prediction))
    _check_common(roles, true, said)
    tally = true + said
    notes: tuple[str, ...] = ()
    if roles.outcome is not None and not true:
        notes = (f"No outcome is known in the reference ({roles.outcome!r}), so no error can be watched.",)
    if len(roles.scores) > 1:
        classes = list(_classes_of_scores(roles.scores, sorted(tally)))
        if twice := [word for word in dict.fromkeys(classes) if classes.count(word) > 1][:1]:
            raise BadInput(f"--score names two columns of class {twice[0]!r}; one per class is asked for.")
    else:
        classes = sorted(sorted(tally, key=lambda word: -tally[word])[: joint.MOST_CLASSES], key=_order)
    if not classes:
        classes = ["0", "1"]
    if len(roles.scores) > 1:
        form: Form = "classes"
        return joint.Joint(roles.prediction, roles.outcome, roles.scores, tuple(classes), None, form), notes
    if not roles.scores:
        return joint.Joint(roles.prediction, roles.outcome, (), tuple(classes), None, "none"), notes
    if len(classes) == 1:
        classes = sorted({*classes, "0", "1"} if classes[0] in "01" else {*classes, f"not {classes[0]}"}, key=_order)
    form, positive, meant = _meaning(roles, classes, sample)
    made = joint.Joint(roles.prediction, roles.outcome, roles.scores, tuple(classes), positive, form)
    return made, (*notes, meant) if meant else notes


def _check_common(roles: Roles, true: Counter[str], said: Counter[str]) -> None:
    """Raise `BadInput` where predictions and outcomes are spelt so differently that none could ever be right."""
    if true and said and not true.keys() & said.keys():
        shown = [", ".join(repr(word) for word, _ in counts.most_common(3)) for counts in (said, true)]
        raise BadInput(
            f"The prediction {roles.prediction!r} says {shown[0]} and the outcome {roles.outcome!r} {shown[1]}: they"
            " have no value in common, so every prediction would be wrong. Give both in the same words."
        )


def _meaning(roles: Roles, classes: list[str], sample: pa.Table) -> tuple[Form, str | None, str | None]:
    """Whether one score is the chance of a class or of whatever was predicted."""
    name = roles.scores[0]
    if len(classes) > 2:
        return "confidence", None, f"Score {name!r} is read as the chance of the predicted class."
    scores, missing = numeric.to_floats(sample[name].combine_chunks())
    fine = np.isfinite(scores) if missing is None else np.isfinite(scores) & ~missing
    truth = roles.prediction or roles.outcome
    if truth is None or not fine.any():
        return "positive", classes[-1], f"Score {name!r} is read as the chance of {classes[-1]!r}."
    is_last = _equals(sample[truth], classes[-1])
    above = scores[fine & is_last].mean() if (fine & is_last).any() else np.nan
    below = scores[fine & ~is_last].mean() if (fine & ~is_last).any() else np.nan
    if np.mean(scores[fine] < 0.5) <= 0.01 and np.isfinite(above) and np.isfinite(below):
        return "confidence", None, f"Score {name!r} is hardly ever under 0.5: read as the chance of what was predicted."
    positive = classes[0] if np.isfinite(above) and np.isfinite(below) and above < below else classes[-1]
    return "positive", positive, f"Score {name!r} is read as the chance of {positive!r}."


def _check_chances(name: str, values: pa.ChunkedArray) -> None:
    """Raise `BadInput` where a score is no probability."""
    if not fits("numeric", values.type):
        raise BadInput(f"Score {name!r} holds {values.type}; asked for are probabilities from 0 to 1.")
    scores, missing = numeric.to_floats(values.combine_chunks())
    fine = np.isfinite(scores) if missing is None else np.isfinite(scores) & ~missing
    if fine.any() and (np.min(scores[fine]) < 0 or np.max(scores[fine]) > 1):
        raise BadInput(
            f"Score {name!r} goes from {np.min(scores[fine]):.4g} to {np.max(scores[fine]):.4g}; asked for are"
            " probabilities from 0 to 1. Convert it, or leave it out."
        )


def _equals(column: pa.ChunkedArray, word: str) -> Any:
    found = pc.equal(category.names(column.combine_chunks()), word)
    return pc.fill_null(found, False).to_numpy(zero_copy_only=False)


def _classes_of_scores(scores: Sequence[str], known: Sequence[str]) -> Iterable[str]:
    """The class that each score column is named after: ``score_card`` and ``p(card)`` both name ``card``."""
    if not known:  # nothing is known of the classes but these names
        start = len(os.path.commonprefix(list(scores)))  # noqa: RUF071 - of names, not paths
        yield from (name[start:] or name for name in scores)
        return
    for place, name in enumerate(scores):
        named = [word for word in known if word and (name == word or name.endswith((word, f"{word})", f"{word}]")))]
        if named:
            yield max(named, key=len)
        elif len(scores) == len(known):
            yield known[place]
        else:
            raise BadInput(
                f"--score names {len(scores)} columns, which should be one per class; {name!r} ends in none of the"
                f" classes {', '.join(map(repr, known[:8]))}. Name them as in score_{known[0] if known else 'class'}."
            )


def _tallied(column: pa.ChunkedArray) -> Counter[str]:
    codes, words = category.encoded(column.combine_chunks())
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    return Counter({word: int(count) for word, count in zip(words.to_pylist(), counts, strict=True) if count})


def _order(word: str) -> tuple[bool, float, str]:
    try:
        return False, float(word), word
    except ValueError:
        return True, 0.0, word
