"""The report: the sentence first, whole HTML, nothing from elsewhere, and nothing a user wrote becomes markup."""

from __future__ import annotations

import re
import runpy
import subprocess
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest

import shelflife
from shelflife.check import Check, report
from shelflife.testing import streams

LATER = datetime(2026, 4, 6)
ROLES = {"time": "ts", "prediction": "fraud", "score": "score", "outcome": "charged_back"}
NASTY = '<script>alert("1")</script> & 日本 \u202e'
Reader = runpy.run_path(str(Path(__file__).parents[1] / "look" / "pages.py"))["Reader"]


@pytest.fixture(scope="module")
def samples() -> dict[str, Check]:
    before = streams.steady(days=40, rows=100, seed=1)

    def later(change: str) -> pa.Table:
        return streams.shifted(days=20, rows=100, seed=2, after=5, change=change, start=LATER)

    plain = before.drop_columns(["ts"])
    rng = np.random.default_rng(0)
    wide = pa.table({"ts": before["ts"], **{f"column {i}": rng.normal(size=before.num_rows) for i in range(300)}})
    odd = pa.table({"ts": before["ts"], NASTY: rng.choice([NASTY, "b"], before.num_rows)})
    changed = odd.set_column(1, NASTY, pa.array(np.where(rng.random(odd.num_rows) < 0.3, NASTY + "!", "b")))
    return {
        "concept": shelflife.check(before, later("concept"), segments="channel", audit=2, **ROLES),
        "new": shelflife.check(before, later("new"), **ROLES),
        "estimated": shelflife.check(before, later("mean").drop_columns(["charged_back"]), **ROLES),
        "gone": shelflife.check(before, later("mean").drop_columns(["items"]), **ROLES),
        "pass": shelflife.check(before, streams.steady(days=20, rows=100, seed=2, start=LATER), **ROLES),
        "unknown": shelflife.check(plain, plain.slice(0, 3)),
        "untimed": shelflife.check(plain, later("mix").drop_columns(["ts"])),
        "wide": shelflife.check(wide, wide, time="ts"),
        "nasty": shelflife.check(odd, changed, time="ts"),
    }


NAMES = ["concept", "new", "estimated", "gone", "pass", "unknown", "untimed", "wide", "nasty"]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_whole_and_says_it_first(samples, name):
    result = samples[name]
    page = report.html(result)
    read = Reader(page)
    assert read.count("h1") == 1
    body = Reader(page.partition("<body>")[2].partition("</body>")[0]).text
    sign = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "? unknown"}[result.verdict]
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", result.says, maxsplit=1)[0]
    assert body.startswith(f"{sign} {' '.join(first.split())}"), body[:300]
    assert "None" not in body
    assert not {"nan", "inf"} & set(body.split())
    for finding in result.findings[:50]:
        assert " ".join(finding.says.split()) in body


@pytest.mark.parametrize("name", NAMES)
def test_the_page_needs_nothing_from_elsewhere_and_stays_small(samples, name):
    page = report.html(samples[name])
    for needs in ("http:", "https:", "<script", "<link", "@import", "src=", "url("):
        assert needs not in page
    assert len(page) < 1_500_000
    for picture in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ET.fromstring(picture)
        assert not re.search(r"#[0-9a-fA-F]{3,6}\b", picture)


def test_what_a_user_wrote_is_never_markup(samples):
    page = report.html(samples["nasty"])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in report.fragment(samples["nasty"])


def test_the_piece_for_notebooks_is_whole(samples):
    for result in samples.values():
        read = Reader(report.fragment(result))
        assert result.findings[0].code in read.text if result.findings else True


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("name", ["concept", "nasty", "wide"])
def test_no_page_is_wider_than_its_screen(samples, chromium, tmp_path: Path, name, width):
    probe = "<script>document.title = document.documentElement.scrollWidth + ' of ' + innerWidth</script>"
    # Chromium makes no window narrower than 500, so the page is looked at within a frame.
    page = report.html(samples[name]).replace("</body>", f"{probe}</body>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    (tmp_path / "frame.html").write_text(
        f'<iframe id="f" src="page.html" style="width:{width}px;height:900px;border:0"></iframe>'
        "<script>f.onload = () => document.body.append('WIDTHS ' + f.contentDocument.title)</script>"
    )
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
         "--virtual-time-budget=4000", "--dump-dom", (tmp_path / "frame.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found = re.search(r"WIDTHS (\d+) of (\d+)", done.stdout)
    assert found, done.stdout[-500:]
    assert int(found[1]) <= int(found[2])
