"""Over HTTP: rows in, one shape of error, and nothing that a client sends breaks the server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pyarrow as pa
import pytest

from shelflife.system import System
from shelflife.testing.clock import ManualClock

PATH = "/api/v1/systems/parcel-delay/predictions"


@pytest.fixture
def client(service: tuple[str, str]) -> Iterator[httpx.Client]:
    url, secret = service
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}) as found:
        yield found


def row(id: str, **more: Any) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "time": "2026-04-30T10:00:00Z", "inputs": {"weight": 2.5}, **more}


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) - {"rejected", "ignored"} == {"error"}
    assert set(body["error"]) == {"code", "says"}
    return answer.status_code, body["error"]["code"]


def test_rows_are_accepted_known_or_rejected_with_the_reason(client: httpx.Client, system: System) -> None:
    answer = client.post(PATH, json=[row("a"), row("b", inputs={"weight": "heavy"}), row("a"), row("c", colour=3)])
    assert answer.json() == {
        "accepted": 2, "duplicate": 1,
        "rejected": [{"row": 1, "reason": '`inputs.weight` is to be a number; found "heavy"'}], "ignored": ["colour"],
    }  # fmt: skip
    assert client.post(PATH, json=row("a")).json()["duplicate"] == 1
    assert client.post(PATH, json={"rows": [row("d")]}).json()["accepted"] == 1
    assert client.post(PATH, json=[]).json()["accepted"] == 0
    with system.intake():
        pass


def test_an_arrow_stream_is_as_good_as_json(client: httpx.Client) -> None:
    table = pa.table(
        {"id": ["a", "b"], "time": pa.array([1_777_000_000] * 2, pa.timestamp("s", "UTC")), "weight": [1, 2]}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    kind = {"content-type": "application/vnd.apache.arrow.stream"}
    assert client.post(PATH, content=sink.getvalue().to_pybytes(), headers=kind).json()["accepted"] == 2
    assert error(client.post(PATH, content=sink.getvalue().to_pybytes()[:-40], headers=kind)) == (400, "unreadable")
    assert error(client.post(PATH, content=b"no arrow", headers=kind)) == (400, "unreadable")


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)  # nothing comes as far as a store
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "unreadable")), (b"{", (400, "unreadable")), (b"7", (400, "unreadable")),
        (b"NaN", (400, "unreadable")), (b"\xff\xfe", (400, "unreadable")), (b"[" * 100_000, (400, "unreadable")),
        (b'[{"id": NaN}]', (400, "unreadable")), (b'"\\ud800"', (400, "unreadable")),
        (b'{"id": "a"}', (422, "rejected")), (b"[7]", (422, "rejected")), (b"[null]", (422, "rejected")),
        (b" " * 33_000_000, (413, "too_large")), (json.dumps([{}] * 200_001).encode(), (400, "unreadable")),
    ],
)  # fmt: skip
def test_bodies_that_cannot_be_used(client: httpx.Client, body: bytes, expected: tuple[int, str]) -> None:
    assert error(client.post(PATH, content=body, headers={"content-type": "application/json"})) == expected


def test_who_may_not_is_told(client: httpx.Client, system: System) -> None:
    assert error(client.post(PATH, json=[], headers={"Authorization": ""})) == (401, "no_token")
    assert error(client.post(PATH, json=[], headers={"Authorization": "Bearer sl_x_y"})) == (401, "no_token")
    secret, _ = system.tokens.make("reader", ["read"], by="lead")
    assert error(client.post(PATH, json=[], headers={"Authorization": f"Bearer {secret}"})) == (403, "not_allowed")
    assert error(client.post("/api/v1/systems/none/predictions", json=[])) == (404, "unknown_system")
    assert error(client.post("/api/v1/systems/parcel-delay/guesses", json=[])) == (422, "invalid")
    assert error(client.post(PATH, content=b"", headers={"content-type": "text/csv"})) == (415, "media_type")
    assert error(client.get(PATH)) == (405, "wrong_method")
    assert error(client.get("/api/v1/nothing/there")) == (404, "not_found")


def test_what_nobody_expected_is_told_in_the_same_shape(system: System, client: httpx.Client) -> None:
    secret, _ = system.tokens.make("reader", ["read"], by="lead")
    system.database.engine.dispose()
    with system.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE findings RENAME TO elsewhere")
    answer = client.get("/api/v1/findings", headers={"Authorization": f"Bearer {secret}"})
    assert error(answer) == (500, "failed")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_token_of_one_system_fills_no_ledger(client: httpx.Client, system: System) -> None:
    secret, _ = system.tokens.make("narrow", ["observe"], only=["parcel-delay"], by="lead")
    before = len(system.ledger.entries())
    for name in ("x" * 64, *(f"made-up-{number}" for number in range(20))):
        answer = client.post(
            f"/api/v1/systems/{name}/predictions", json=[], headers={"Authorization": f"Bearer {secret}"}
        )
        assert error(answer) == (403, "not_allowed")
    (denied,) = system.ledger.entries()[before:]
    assert (denied.by, denied.system) == ("token narrow", None)


def says(answer: httpx.Response) -> str:
    found = answer.json()
    return str(found["rejected"][0]["reason"] if found.get("rejected") else found["error"]["says"])


def test_what_is_wrong_is_told_in_plain_words(client: httpx.Client, system: System, clock: ManualClock) -> None:
    def sent(secret: str) -> str:
        return says(client.post(PATH, json=[], headers={"Authorization": secret}))

    assert sent("").startswith("Send `Authorization: Bearer TOKEN`")
    secret, made = system.tokens.make("short", ["observe"], lasts=timedelta(hours=1), by="lead")
    clock.advance(timedelta(hours=2))
    gone, of = system.tokens.make("gone", ["observe"], by="lead")
    system.tokens.revoke(of.id, by="lead")
    for one in (secret, gone, "sl_x_y"):
        assert sent(f"Bearer {one}").startswith("The token that was sent does not count")
    assert "something else was sent" in sent("Basic abc")
    json_ = {"content-type": "application/json"}
    for body, found in ((b"null", "null"), (b'"a"', "a text"), (b"7", "a number"), (b"true", "a truth value")):
        told = says(client.post(PATH, content=body, headers=json_))
        assert told == f"The body is to be a list of rows; found {found}."
    packed = client.post(PATH, content=gzip.compress(b"[]"), headers={**json_, "content-encoding": "gzip"})
    assert error(packed) == (415, "media_type")
    assert "Content-Encoding 'gzip' is not understood" in says(packed)
    told = says(client.post("/api/v1/systems/parcel-delay/guesses", json=[]))
    assert told == "`kind` is to be 'predictions', 'outcomes', 'feedback' or 'kpis'; found 'guesses'."
    for time in ("2026-02-30T10:00:00Z", "2026-04-30T10:00:00+99:00"):
        assert "`time` is to be a date, a time of day and an offset that there are" in says(
            client.post(PATH, json=[row("a", time=time)])
        )
    assert "a time with its zone" in says(client.post(PATH, json=[row("a", time="2026-04-30T10:00:00")]))
    del made


def test_what_is_wrong_with_an_address_or_a_decision_is_told_in_plain_words(
    client: httpx.Client, system: System
) -> None:
    secret, _ = system.tokens.make("all", ["read", "act", "decide"], by="lead")
    client.headers["Authorization"] = f"Bearer {secret}"
    assert says(client.get("/api/v1/findings/abc")) == "`number` is to be a whole number; found 'abc'."
    assert says(client.get("/api/v1/findings/0")) == "`number` is to be at least 1; found '0'."
    assert says(client.get("/api/v1/findings?limit=1000")) == "`limit` is to be at most 500; found '1000'."
    assert says(client.get("/api/v1/findings?state=x")) == "`state` is to be 'living' or 'all'; found 'x'."
    mute = "/api/v1/findings/1/mute"
    assert says(client.post(mute, json={"reason": "x"})) == "`until` is missing."
    odd = {"reason": "x", "until": "2026-06-01T00:00:00Z", "untill": "2026-07-01T00:00:00Z"}
    assert says(client.post(mute, json=odd)) == "`untill` is no name that this asks for."
    misspelt = says(client.post(mute, json={"raeson": "x", "until": "2026-06-01T00:00:00Z"}))
    assert misspelt == "`raeson` is no name that this asks for, and `reason` is missing."
    assert says(client.post(mute, json=[])) == "The body is to be an object of names and values; found a list."
    assert says(client.post(mute, json={"reason": "", "until": "2026-06-01T00:00:00Z"})).startswith("`reason` is to be")
    until = says(client.post(mute, json={"reason": "x", "until": "2026-06-01T00:00:00"}))
    assert until.startswith("`until` is to be a time with its zone")
    json_ = {"content-type": "application/json"}
    assert says(client.post(mute, content=b"{", headers=json_)).startswith("The body is no JSON")


def test_a_large_batch_with_one_bad_row_loses_no_other(client: httpx.Client, system: System) -> None:
    rows = [row(str(number)) for number in range(100_000)]
    rows[77_777]["time"] = "soon"
    answer = client.post(PATH, json=rows, timeout=60).json()
    assert (answer["accepted"], [one["row"] for one in answer["rejected"]]) == (99_999, [77_777])
    del system


def test_it_says_that_it_lives_and_describes_itself(client: httpx.Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"status": "ok"}
    described = client.get("/api/v1/openapi.json").json()
    statuses = described["paths"]["/api/v1/systems/{system}/{kind}"]["post"]["responses"]
    assert set(statuses) == {"200", "400", "401", "403", "404", "413", "415", "422", "503"}
