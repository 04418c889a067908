"""A small body cannot become many bytes, and what was removed for its age does not come again."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from shelflife import plan
from shelflife.api.observations import MOST_BYTES, _table
from shelflife.errors import BadInput
from shelflife.observe.rows import from_json
from shelflife.system import System


def stream(table: pa.Table, compression: str | None = None) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return bytes(out.getvalue().to_pybytes())


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_a_compressed_stream_is_refused(compression: str, dictionary: bool) -> None:
    text = pa.array(["0" * 1_000_000])
    table = pa.table({"id": ["a"], "version": text.dictionary_encode() if dictionary else text})
    assert len(_table(stream(table))) == 1
    with pytest.raises(BadInput, match="compressed inside"):
        _table(stream(table, compression))


@pytest.mark.parametrize("inside", [True, False])
def test_a_dictionary_counts_as_often_as_it_is_named(inside: bool) -> None:
    rows = 50_000
    named = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 2_000]))
    column = pa.StructArray.from_arrays([named], names=["depot"]) if inside else named
    with pytest.raises(BadInput, match=f"have 100,000,000 bytes; at most {MOST_BYTES:,}"):
        _table(stream(pa.table({"inputs": column})))
    assert len(_table(stream(pa.table({"inputs": column.slice(0, 100)})))) == 100


def test_views_count_and_runs_are_refused() -> None:
    views = pa.array(["x" * 20_000] * 10).cast(pa.string_view())
    assert len(_table(stream(pa.table({"id": views})))) == 10
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([100_000], pa.int32()), pa.array(["x" * 2_000]))
    with pytest.raises(BadInput, match="cannot be sent"):
        _table(stream(pa.table({"id": runs})))


def test_rows_older_than_the_plan_keeps_are_rejected(system: System, written: plan.Written) -> None:
    assert written.plan.keep is not None
    now = system.clock.now()
    moments = [now - written.plan.keep - timedelta(seconds=1), now - written.plan.keep + timedelta(seconds=1)]
    made = [{"id": str(place), "time": one.isoformat()} for place, one in enumerate(moments)]
    read = from_json(made, system.shape("parcel-delay", "predictions"), now=now)
    assert read.table["id"].to_pylist() == ["1"]
    assert "lies before what the plan keeps" in read.rejected[0]
