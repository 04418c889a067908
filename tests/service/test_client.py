"""The client never blocks or breaks its program, and loses nothing that has room."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shelflife.client import Client, Sent, _body
from shelflife.system import System


def row(id: str, **more: Any) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "time": "2026-04-30T10:00:00Z", **more}


def kept(system: System) -> set[str]:
    with system.intake(drain_every=3600):
        pass
    found = system.tables.open("parcel-delay", "predictions")
    return set(found.to_pyarrow_table(columns=["id"])["id"].to_pylist()) if found is not None else set()


def test_rows_arrive_in_batches_and_are_counted(service: tuple[str, str], tmp_path: Path) -> None:
    with Client(*service, batch=100, folder=tmp_path / "waiting") as client:
        for number in range(250):
            client.predictions("parcel-delay", row(str(number)))
        client.predictions("parcel-delay", [row("0"), row("bad", inputs={"weight": "heavy"})])
        client.outcomes("parcel-delay", {"id": "0", "outcome": "late"})
        client.kpis("parcel-delay", {"kpi": "told_in_time", "time": "2026-04-30T00:00:00Z", "value": 0.9})
        client.feedback("parcel-delay", {"id": "f", "what": "override", "prediction_id": "0"})
    assert client.sent == Sent(accepted=253, duplicate=1, rejected=1)
    assert not (tmp_path / "waiting").exists()


def test_rows_wait_in_the_folder_while_the_service_is_away(
    system: System, service: tuple[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "waiting"
    with Client("http://127.0.0.1:9", service[1], folder=folder) as client:
        client.predictions("parcel-delay", [row(str(number)) for number in range(10)])
        assert client.flush(30)
    assert client.sent == Sent()
    assert len(list(folder.glob("*.json"))) == 1
    with Client(*service, folder=folder) as client:  # the next process
        pass
    assert client.sent == Sent(accepted=10)
    assert list(folder.glob("*")) == []
    del system


def test_what_a_program_hands_over_before_it_ends_arrives(service: tuple[str, str], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom shelflife.client import Client\n"
        "client = Client(sys.argv[1], sys.argv[2], folder=sys.argv[3], every=60)\n"
        "client.predictions('parcel-delay', [{'id': str(n), 'time': '2026-04-30T10:00:00Z'} for n in range(5)])\n"
    )
    subprocess.run([sys.executable, "-c", program, *service, str(tmp_path / "waiting")], check=True, timeout=60)
    with Client(*service, folder=tmp_path / "waiting") as client:
        client.predictions("parcel-delay", [row(str(number)) for number in range(6)])
    assert client.sent == Sent(accepted=1, duplicate=5)


def test_what_has_no_room_is_counted_and_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    with Client("http://127.0.0.1:9", "token", folder=tmp_path / "waiting", most_bytes=10) as client:
        client.predictions("parcel-delay", row("a"))
        client.predictions("parcel-delay", 7)  # type: ignore[arg-type] # what a program might do
    client.predictions("parcel-delay", row("b"))
    assert client.sent == Sent(lost=2)


def test_values_are_written_as_json_knows_them() -> None:
    rows = [{"id": "NaN is text", "x": float("nan"), "y": np.float64(1.5), "z": np.array([1, 2]), "w": [float("inf")]}]
    assert json.loads(_body(rows)) == [{"id": "NaN is text", "x": None, "y": 1.5, "z": [1, 2], "w": [None]}]
