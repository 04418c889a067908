"""Text columns: in how many documents each term of the reference occurs, words never seen, lengths, empties."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shelflife.profile.category import names
from shelflife.profile.runs import Counted, Ints, Runs, counted

TERMS = 256
MOST_KNOWN = 50_000
# A document's share of never-seen words is kept in whole parts of this, so that shares add without rounding.
PARTS = 1_024

NULL, EMPTY, DOCUMENTS, UNSEEN = range(4)
_FIRST = 4
# Words in a document: up to 4, 8, 16, … and more.
LENGTHS = (4, 8, 16, 32, 64, 128, 256)
_APART = r"[^\pL\pN\pM]+"


@dataclass(frozen=True)
class Text:
    """Counts over the documents of one column.

    The cells are: missing, empty (no word), documents (with a word), the sum of their shares of never-seen words in
    1/1024, documents of each length class, documents with each term. Words are runs of letters, digits and marks,
    in lower case.

    Attributes
    ----------
    name
        The column.
    terms
        The terms of the reference that occur in most documents; each has a cell.
    others
        Its other words: known, without a cell.
    novelty
        Documents of the reference and the sum of their shares of words that no other document has: the share of
        never-seen words that a further document can be expected to have.
    """

    name: str
    terms: tuple[str, ...]
    others: tuple[str, ...]
    novelty: tuple[int, float]

    kind: ClassVar[str] = "text"
    sums: ClassVar[int] = 0
    extremes: ClassVar[int] = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def lengths(self) -> slice:
        """The cells of the length classes."""
        return slice(_FIRST, _FIRST + len(LENGTHS) + 1)

    @property
    def first_term(self) -> int:
        return _FIRST + len(LENGTHS) + 1

    @property
    def cells(self) -> int:
        return self.first_term + len(self.terms)

    def count(self, batch: pa.RecordBatch, runs: Runs) -> Counted:
        """Counts of the column in each run."""
        array = names(batch.column(self.name))
        of_rows = runs.of_rows
        rows, words = tokens(array)
        places = pc.fill_null(pc.index_in(words, value_set=self._known), -1).to_numpy(zero_copy_only=False)
        sizes = np.bincount(rows, minlength=len(array))
        unseen = np.bincount(rows[places < 0], minlength=len(array))
        present = sizes > 0
        missing = array.is_null().to_numpy(zero_copy_only=False)
        share = np.round(unseen[present] / sizes[present] * PARTS).astype(np.int64)
        terms = places[(places >= 0) & (places < len(self.terms))]
        # A document counts once for a term, however often it has it.
        pairs = np.unique(rows[(places >= 0) & (places < len(self.terms))] * max(1, len(self.terms)) + terms)
        with_term, term = np.divmod(pairs, max(1, len(self.terms)))
        long = np.searchsorted(LENGTHS, sizes[present]) + _FIRST
        state = np.where(missing, NULL, np.where(present, DOCUMENTS, EMPTY))
        found = runs.tally(state, self.cells)
        found += runs.tally_of(of_rows[present], long, self.cells)
        found += runs.tally_of(of_rows[with_term], term + self.first_term, self.cells)
        found[:, UNSEEN] = np.bincount(of_rows[present], weights=share, minlength=len(runs.starts))
        return counted(found)

    @cached_property
    def _known(self) -> pa.Array:
        return pa.array([*self.terms, *self.others], pa.string())


def tokens(array: pa.Array) -> tuple[Ints, pa.Array]:
    """The words of each document: the row of each word, and the words, in lower case.

    Examples
    --------
    >>> rows, words = tokens(pa.array(["Where is my card?", None, "¿Dónde?"]))
    >>> rows.tolist(), words.to_pylist()
    ([0, 0, 0, 0, 2], ['where', 'is', 'my', 'card', 'dónde'])
    """
    apart = pc.split_pattern_regex(pc.utf8_lower(array), _APART)
    words = pc.list_flatten(apart)
    rows = pc.list_parent_indices(apart).to_numpy(zero_copy_only=False)
    kept = pc.not_equal(words, "")
    return rows[kept.to_numpy(zero_copy_only=False)], words.filter(kept)


def learn(name: str, array: pa.ChunkedArray) -> Text:
    """The vocabulary of a reference column.

    Parameters
    ----------
    name
        The column.
    array
        Its documents, or a sample of them.

    Examples
    --------
    >>> learn("said", pa.chunked_array([["my card", "my pin", "a card"]])).terms
    ('card', 'my', 'a', 'pin')
    """
    documents: Counter[str] = Counter()
    chunks = []
    for chunk in array.chunks:
        rows, words = tokens(names(chunk))
        coded = words.dictionary_encode()
        listed = coded.dictionary.to_pylist()
        codes = coded.indices.to_numpy()
        pairs = np.unique(rows * max(1, len(listed)) + codes)
        counts = np.bincount(pairs % max(1, len(listed)), minlength=len(listed))
        documents.update(dict(zip(listed, counts.tolist(), strict=True)))
        chunks.append((rows, codes, listed))
    ranked = sorted(documents, key=lambda word: (-documents[word], word))
    known = set(ranked[:MOST_KNOWN])
    count, shares = 0, 0.0
    for rows, codes, listed in chunks:
        alone = np.array([word not in known or documents[word] == 1 for word in listed], dtype=bool)
        sizes = np.bincount(rows)
        new = np.bincount(rows, weights=alone[codes]) if len(rows) else np.zeros(0)
        count += int((sizes > 0).sum())
        shares += float((new[sizes > 0] / sizes[sizes > 0]).sum())
    return Text(name, tuple(ranked[:TERMS]), tuple(ranked[TERMS:MOST_KNOWN]), (count, shares))


def part(plain: dict[str, Any]) -> Text:
    """The part that a layout's plain form names."""
    return Text(
        plain["name"], tuple(plain["terms"]), tuple(plain["others"]), (plain["novelty"][0], plain["novelty"][1])
    )
