"""What those who run the service see of it: metrics, logs, its description, where it listens."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shelflife.cli import logs
from shelflife.cli.up import _tls
from shelflife.errors import BadInput
from shelflife.system import System
from shelflife.workspace import Settings


def metrics(url: str, secret: str) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, in the order of their names."""
    text = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {secret}"}).raise_for_status().text
    return {
        (sample.name, *dict(sorted(sample.labels.items())).values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_is_told_of_rows_requests_and_systems(service: tuple[str, str], system: System) -> None:
    url, observing = service
    reading, _ = system.tokens.make("reader", ["read"], by="lead")
    rows = [{"id": str(number), "time": "2026-05-01T10:00:00Z", "inputs": {}} for number in (1, 2, 2)] + [{"id": "3"}]
    path = "/api/v1/systems/parcel-delay/predictions"
    for _ in range(2):
        httpx.post(f"{url}{path}", json=rows, headers={"Authorization": f"Bearer {observing}"}).raise_for_status()
    found = metrics(url, reading)
    became = {word: found["shelflife_rows_total", word, "predictions", "parcel-delay"]
              for word in ("accepted", "duplicate", "rejected")}  # fmt: skip
    assert became == {"accepted": 2, "duplicate": 4, "rejected": 2}
    assert found["shelflife_request_seconds_count", "POST", "/api/v1/systems/{system}/{kind}", "200"] == 2
    assert found["shelflife_freshness", "model", "unknown", "parcel-delay"] == 1
    assert found["shelflife_freshness", "model", "fresh", "parcel-delay"] == 0
    assert found["shelflife_findings", "page", "parcel-delay"] == 0
    narrow, _ = system.tokens.make("narrow", ["read"], only=["parcel-delay"], by="lead")
    assert {name[0] for name in metrics(url, narrow)} == {"shelflife_freshness", "shelflife_findings"}


def test_the_description_is_a_page(service: tuple[str, str]) -> None:
    page = httpx.get(f"{service[0]}/api").text
    described = httpx.get(f"{service[0]}/api/v1/openapi.json").json()
    for path, methods in described["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page
    assert "<code>reason</code>" in page


def test_a_log_line_is_an_object_and_tells_no_secret(
    service: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("shelflife"), "level", logging.NOTSET)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure("json", "info")
        httpx.get(f"{service[0]}/link/a-secret-of-somebody")
        httpx.get(f"{service[0]}/health/live")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        root.handlers[:], root.level = before
    own = [line for line in lines if line["logger"] == "shelflife.server"]
    assert [(line["route"], line["status"], line["level"]) for line in own] == [("/link/{secret}", 404, "INFO")]
    assert "a-secret" not in json.dumps(lines)


def test_beyond_this_machine_it_is_encrypted(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.0.0.2"):
        assert _tls(host, None, None, False) == {}
    for host in ("0.0.0.0", "192.0.2.1", "::", "shelflife.example"):
        with pytest.raises(BadInput, match="in the clear"):
            _tls(host, None, None, False)
        assert _tls(host, None, None, True) == {}
    file = tmp_path / "some.pem"
    file.write_text("x")
    with pytest.raises(BadInput, match="go together"):
        _tls("::", file, None, False)
    with pytest.raises(BadInput, match="there is no"):
        _tls("::", file, tmp_path / "none.pem", False)


def test_the_first_start_prints_a_link_and_a_stop_is_quiet(tmp_path: Path) -> None:
    System(Settings(home=tmp_path / "home")).close()
    environment = {**os.environ, "SHELFLIFE_HOME": str(tmp_path / "home"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "shelflife", "up", "--port", "0", "--gateway-port", "0", "--log", "json"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Shelflife answers at http://127.0.0.1:")
        listens, first = process.stderr.readline(), process.stderr.readline()
        url = listens.split()[3]
        link = first.split()[first.split().index("once:") + 1]
        assert link.startswith(f"{url}/link/")
        with httpx.Client(headers={"Origin": url}) as browser:
            assert browser.get(url).headers["location"] == "/sign-in"
            chosen = {"name": "mara", "password": "twelve or more", "again": "twelve or more"}
            assert browser.post(link, data=chosen).status_code == 303
            assert browser.get(f"{url}/people").status_code == 200
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 0
    for line in rest.splitlines():
        assert json.loads(line)["level"] in {"INFO", "WARNING"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "answers at" in process.stderr.readline()
        assert "listens at" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert "once:" not in process.stderr.read()
