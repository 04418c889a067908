"""What changes in the business, on each database, by commands and over HTTP; and the renewal that it starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.cli.commands import run
from tests.renew.living import DAY, DESK, Desk, written
from tests.service.conftest import running

from shelflife.errors import BadInput, Missing
from shelflife.system import System
from shelflife.workspace import Settings

LATER = datetime(2026, 6, 1, tzinfo=UTC)
ON_ONE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def test_recorded_read_and_withdrawn(system: System) -> None:
    system.apply(written(when=["change"]), by="lead", because="it renews")
    made = system.changes.record(DESK, " The tariff changes ", LATER, because="regulation", by="lead")
    other = system.changes.record(DESK, "A product ends", LATER + DAY, by="lead")
    assert (made.what, made.effective, made.because) == ("The tariff changes", LATER, "regulation")
    assert made.withdrawn is None
    assert [one.number for one in system.changes.every()] == [other.number, made.number]
    gone = system.changes.withdraw(made.number, reason="put off", by="lead")
    assert gone.withdrawn == system.clock.now()
    told = [one.body["what"] for one in system.ledger.entries(system=DESK, kind="brief.written")]
    assert told == [
        "The tariff changes, from 2026-06-01 on.", "A product ends, from 2026-06-02 on.",
        "The tariff changes: this does not come on 2026-06-01.",
    ]  # fmt: skip
    with pytest.raises(BadInput, match="was withdrawn already"):
        system.changes.withdraw(made.number, reason="put off", by="lead")
    assert [one.kind for one in system.ledger.entries(system=DESK) if one.kind.startswith("change.")] == [
        "change.recorded", "change.recorded", "change.withdrawn",
    ]  # fmt: skip
    assert system.ledger.verify().whole


@ON_ONE
def test_what_is_no_change_is_refused(system: System) -> None:
    for what, effective in (("", LATER), ("  ", LATER), ("x" * 2_001, LATER), ("a", datetime(1800, 1, 1, tzinfo=UTC))):
        with pytest.raises(BadInput):
            system.changes.record(DESK, what, effective, by="lead")
    for what, because in (("two\nlines", ""), ("a\0b", ""), ("esc \033[31m", ""), ("a", "b\rc")):
        with pytest.raises(BadInput, match="without control characters"):
            system.changes.record(DESK, what, LATER, because=because, by="lead")
    with pytest.raises(Missing):
        system.changes.record("nothing", "a", LATER, by="lead")
    with pytest.raises(Missing):
        system.changes.withdraw(7, reason="it is not", by="lead")
    with pytest.raises(BadInput):
        system.changes.withdraw(7, reason=" ", by="lead")


@ON_ONE
def test_one_that_takes_effect_starts_one_renewal(desk: Callable[..., Desk]) -> None:
    here = desk(when=["change"], challenger=None)
    here.first()
    system = here.system
    made = system.changes.record(DESK, "The tariff changes", here.clock.now() + 2 * DAY, by="lead")
    before = len(system.renewing.renewals(DESK))
    here.live(1)
    assert len(system.renewing.renewals(DESK)) == before  # it is not so yet
    here.live(4)
    first, *others = system.renewing.renewals(DESK)
    assert len(others) == before
    (reason,) = first.reasons
    assert (reason.what, reason.change) == ("change", made.number)
    assert reason.says.startswith("The tariff changes (since ")


def test_by_commands(tmp_path: Path) -> None:
    system = System(Settings(home=tmp_path / ".shelflife"))
    system.apply(written(when=["change"], challenger=None), by="lead", because="first")
    assert run(tmp_path, "changes").stdout == "No change was recorded yet.\n"
    done = run(tmp_path, "changes", "record", DESK, "A new tariff", "--effective", "2026-06-01", "--by", "lead")
    assert done.output == "✓ Change 1 of support-desk, from 2026-06-01 00:00 on; a renewal is due then.\n"
    wrong = run(tmp_path, "changes", "record", DESK, "A new tariff", "--effective", "soon")
    assert wrong.exit_code == 2
    assert "found 'soon'" in wrong.stderr
    for odd in ("2027-06-01+02:00", "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00"):
        wrong = run(tmp_path, "changes", "record", DESK, "A new tariff", "--effective", odd)
        assert (wrong.exit_code, "asks for a date or a moment" in wrong.stderr) == (2, True)
    early = run(tmp_path, "changes", "--system", DESK, "withdraw", "1", "--reason", "put off")
    assert (early.exit_code, "Options come after the word: `shelflife changes withdraw …`" in early.stderr) == (2, True)
    assert run(tmp_path, "changes", "withdraw", "9" * 30, "--reason", "put off").exit_code == 2
    assert run(tmp_path, "changes").stdout == "   1  support-desk  2026-06-01 00:00  A new tariff\n"
    (said,) = json.loads(run(tmp_path, "changes", "--json").stdout)
    assert (said["what"], said["by"]) == ("A new tariff", "lead")
    assert run(tmp_path, "changes", "withdraw", "1", "--reason", "put off").output == "✓ Change 1 is withdrawn.\n"
    assert "(withdrawn " in run(tmp_path, "changes", "--system", DESK).stdout
    assert run(tmp_path, "changes", "withdraw", "9", "--reason", "put off").exit_code == 2
    system.close()


@ON_ONE
def test_over_http(system: System) -> None:
    secret, _ = system.tokens.make("lead", ["read", "act"], by="lead")
    headers = {"Authorization": f"Bearer {secret}"}
    with running(system) as url, httpx.Client(base_url=f"{url}/api/v1/systems/{DESK}", headers=headers) as client:
        made = client.post("/changes", json={"what": "A new tariff", "effective": "2026-06-01T00:00:00+02:00"})
        assert made.status_code == 200
        assert datetime.fromisoformat(made.json()["effective"]) == datetime(2026, 5, 31, 22, tzinfo=UTC)
        assert [one["what"] for one in client.get("/changes").json()["changes"]] == ["A new tariff"]
        number = made.json()["number"]
        gone = client.post(f"/changes/{number}/withdraw", json={"reason": "put off"})
        assert gone.json()["withdrawn"] is not None
        assert client.post(f"/changes/{number}/withdraw", json={"reason": "again"}).status_code == 422
        assert client.post("/changes/9/withdraw", json={"reason": "it is not"}).status_code == 404
        for odd in ("2026-06-01", 20270101, "20270101", "1800000000", True, None):
            wrong = client.post("/changes", json={"what": "a", "effective": odd})
            assert (wrong.status_code, "a time with its zone" in wrong.text) == (422, True)
