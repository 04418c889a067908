"""The client never blocks or breaks its program, and loses nothing that has room."""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shelflife import plan
from shelflife.bodies import written
from shelflife.client import Client, Sent
from shelflife.system import System
from shelflife.testing import plans
from shelflife.waiting import own_folder


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
        assert not client.flush(30)
    assert client.sent == Sent(waiting=10)
    assert len(list(folder.glob("*.json"))) == 1
    with Client(*service, folder=folder) as following:  # the next process
        pass
    assert following.sent == Sent(accepted=10)
    assert client.sent == Sent()
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
    client.predictions("parcel-delay", row("b"))
    assert client.sent == Sent(lost=2)


class Frame:
    """A table as those of Pandas: gone through it gives the names of its columns."""

    columns = ("id", "time")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return 5


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (7, Sent(lost=1)),
        ("abc", Sent(lost=3)),
        (Frame(), Sent(lost=5)),
        ([], Sent()),
        ([row("good"), "id", None], Sent(lost=2, waiting=1)),
    ],
)
def test_what_are_no_rows_is_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: Any, sent: Sent
) -> None:
    with Client("http://127.0.0.1:9", "token", folder=tmp_path / "waiting") as client:
        client.predictions("parcel-delay", given)
    assert client.sent == sent
    assert any("a row is a mapping of names and values" in told.message for told in caplog.records) == (sent.lost > 0)


def test_whoever_waits_is_told_whether_the_service_has_it(
    system: System, service: tuple[str, str], tmp_path: Path
) -> None:
    with Client(service[0], "wrong", folder=tmp_path / "waiting") as client:
        client.predictions("parcel-delay", [row("a"), row("b")])
        assert not client.flush(30)
        assert client.sent == Sent(waiting=2)
    assert not client.flush()  # nor is a client that was closed waited for
    with Client(*service, folder=tmp_path / "waiting") as client:
        client.predictions("support-desk", {**row("c"), "inputs": {}})
        assert not client.flush(30)
        assert client.sent == Sent(accepted=2, waiting=1)
        system.apply(plan.parse(plans.text()), by="lead", because="another")
        assert client.flush(30)
        assert client.sent == Sent(accepted=3)


def test_rows_that_are_too_many_bytes_together_go_out_apart(service: tuple[str, str], tmp_path: Path) -> None:
    long = [row(str(number), version="x" * 400_000) for number in range(100)]  # 40 MB, of which the service takes 32
    with Client(*service, folder=tmp_path / "waiting") as client:
        client.predictions("parcel-delay", [*long[:50], row("huge", version="x" * 33_000_000), *long[50:]])
        client.flush(60)
    assert client.sent == Sent(accepted=100, rejected=1)


def test_where_less_is_taken_at_once_fewer_are_sent(tmp_path: Path) -> None:
    with answering(200, b"", most=400) as server:
        with Client("http://127.0.0.1:9", "token", folder=tmp_path / "waiting") as client:
            client.predictions("parcel-delay", [row(str(number)) for number in range(100)])
        with Client(server.url, "token", folder=tmp_path / "waiting") as client:
            client.predictions("parcel-delay", [row(str(number)) for number in range(100)])
            client.predictions("parcel-delay", row("huge", version="x" * 400))
            assert client.flush(30)
    assert client.sent == Sent(accepted=200, rejected=1)


def test_values_are_written_as_json_knows_them() -> None:
    rows = [{"id": "NaN is text", "x": float("nan"), "y": np.float64(1.5), "z": np.array([1, 2]), "w": [float("inf")]}]
    ((body, said),) = written(rows)
    assert json.loads(body) == [{"id": "NaN is text", "x": None, "y": 1.5, "z": [1, 2], "w": [None]}]
    assert said == 1


def test_a_row_that_cannot_be_written_costs_no_other(service: tuple[str, str], tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    odd = [
        row("key", inputs={("weight", 1): 2}), row("half", version="cut \ud83d"), row("endless", inputs={"x": endless}),
        row("good"),
    ]  # fmt: skip
    with Client(*service, folder=tmp_path / "waiting", every=0.01) as client:
        client.predictions("parcel-delay", odd)
        assert client.flush(30)
        client.predictions("parcel delay\n", row("of no system"))
        client.predictions("parcel-delay", row("later"))
        assert not client.flush(30)
        assert client.sent == Sent(accepted=4, lost=1, waiting=1)
    ((body, _),) = written([{"id": "half", "version": "cut \ud83d"}, {"id": "whole", "version": "\ud83e\udd89"}])
    assert [one["version"] for one in json.loads(body)] == ["cut \ufffd", "\N{OWL}"]


def test_clients_of_one_folder_keep_each_others_batches(service: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "waiting"
    for name in ("a", "b"):
        with Client("http://127.0.0.1:9", service[1], folder=folder) as client:
            client.predictions("parcel-delay", row(name))
    with Client(*service, folder=folder) as client:
        pass
    assert client.sent == Sent(accepted=2)


def test_what_is_refused_waits_and_holds_up_nothing_else(
    system: System, service: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "waiting"
    with Client("http://127.0.0.1:9", "another token", folder=folder) as client:  # of somebody else
        client.predictions("nobody-knows", row("theirs"))
    with Client(*service, folder=folder, every=0.01) as client:
        for number in range(3):
            client.predictions("support-desk", {**row(str(number)), "inputs": {}})
            client.predictions("parcel-delay", row(str(number)))
            assert not client.flush(30)
            assert client.sent == Sent(accepted=number + 1, waiting=number + 1)
        said = [told.message for told in caplog.records if "does not take" in told.message]
        assert len(said) == 2  # of each path once
        assert any("There is no system 'support-desk'" in one for one in said)
        system.apply(plan.parse(plans.text()), by="lead", because="another")
    assert client.sent == Sent(accepted=6)
    assert len(list(folder.glob("*"))) == 1


class Answering(http.server.ThreadingHTTPServer):
    """Whoever may answer in the service's place: with these words, or not before it is closed.

    Or as the service does, where it is told how many bytes it takes at once.
    """

    def __init__(self, status: int, words: bytes | None, most: int | None) -> None:
        self.asked: list[str] = []
        self.closing = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805 - self is the server
                body = handler.rfile.read(int(handler.headers["content-length"]))
                self.asked.append(handler.path)
                if words is None:
                    self.closing.wait(60)
                told, said = status, words or b""
                if most is not None and len(body) > most:
                    told = 413
                elif most is not None:
                    said = json.dumps({"accepted": len(json.loads(body)), "duplicate": 0, "rejected": []}).encode()
                handler.send_response(told)
                handler.send_header("content-length", str(len(said)))
                handler.end_headers()
                handler.wfile.write(said)

            def log_message(handler, *_: Any) -> None:  # noqa: N805
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def answering(status: int, words: bytes | None, *, most: int | None = None) -> Iterator[Answering]:
    with Answering(status, words, most) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("words", [b"<html>sign in to the wireless</html>", b"[]", b'{"accepted": 1}'])
def test_what_answers_in_the_services_place_takes_nothing(tmp_path: Path, words: bytes) -> None:
    with answering(200, words) as server, Client(server.url, "token", folder=tmp_path / "waiting") as client:
        client.predictions("parcel-delay", row("a"))
        assert not client.flush(30)
    assert client.sent == Sent(waiting=1)
    assert len(list((tmp_path / "waiting").glob("*.json"))) == 1


def test_what_is_wrong_with_rows_is_told_once_and_they_are_not_sent_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with answering(413, b"too large") as server, Client(server.url, "token", folder=tmp_path / "waiting") as client:
        for number in range(3):
            client.predictions("parcel-delay", row(str(number)))
            assert client.flush(30)
    assert client.sent == Sent(rejected=3)
    assert [told.message for told in caplog.records if "too large" in told.message] == [
        "the service does not take /api/v1/systems/parcel-delay/predictions, 1 rows are rejected: 413 too large"
    ]


def test_one_try_without_an_answer_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "waiting"
    with answering(200, None) as server:
        with Client(server.url, "token", folder=folder, batch=10, timeout=0.2) as client:
            client.predictions("parcel-delay", [row(str(number)) for number in range(200)])
        assert len(list(folder.glob("*.json"))) == 20
        assert len(server.asked) <= 2  # when it was handed over, and when it was closed


def test_the_child_of_a_process_sends_for_itself(service: tuple[str, str], tmp_path: Path) -> None:
    program = (
        "import os, sys, warnings\nfrom shelflife.client import Client\n"
        "warnings.simplefilter('ignore')\n"  # of forking beside threads: that is what is tried
        "client = Client(sys.argv[1], sys.argv[2], folder=sys.argv[3], every=60)\n"
        "client.predictions('parcel-delay', {'id': 'parent', 'time': '2026-04-30T10:00:00Z'})\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    client.predictions('parcel-delay', {'id': 'child', 'time': '2026-04-30T10:00:00Z'})\n"
        "    client.close()\n"
        "    os._exit(client.sent.accepted)\n"
        "client.close()\n"
        "sys.exit(0 if os.waitpid(child, 0)[1] == 1 << 8 and client.sent.accepted == 1 else 1)\n"
    )
    subprocess.run([sys.executable, "-c", program, *service, str(tmp_path / "waiting")], check=True, timeout=60)


def test_only_what_this_user_keeps_there_goes_out(tmp_path: Path) -> None:
    folder = tmp_path / "waiting"
    folder.mkdir(mode=0o755)
    elsewhere = b"/api/v1/systems/x/predictions\n1\n[]"
    (tmp_path / "theirs").write_bytes(elsewhere)
    (folder / "link.json").symlink_to(tmp_path / "theirs")
    with answering(200, b'{"accepted": 1, "duplicate": 0, "rejected": []}') as server:
        for number, way in enumerate(("/steal", f"{server.url}/steal", "//127.0.0.1/api/v1/systems/x/predictions")):
            (folder / f"{number}.json").write_bytes(f"{way}\n1\n[]".encode())
        with Client(server.url, "token", folder=folder):
            pass
        assert server.asked == []
        (folder / "mine.json").write_bytes(elsewhere)
        with Client(server.url, "token", folder=folder):
            pass
        assert server.asked == ["/api/v1/systems/x/predictions"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_rows_wait_in_no_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "waiting").symlink_to(tmp_path / "theirs")
    with Client("http://127.0.0.1:9", "token", folder=tmp_path / "waiting") as client:
        client.predictions("parcel-delay", row("a"))
    assert client.sent == Sent(lost=1)
    assert list((tmp_path / "theirs").iterdir()) == []
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert own_folder("http://x:80/at") == own_folder("HTTP://X/at/")
    assert own_folder("http://x:1") == tmp_path / "state" / "shelflife" / "client-http---x-1"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert own_folder("http://x:1").parent == Path.home() / ".local" / "state" / "shelflife"
