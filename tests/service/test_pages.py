"""The pages: what they say, what may be done there, and how they look in a browser."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.conftest import NOW
from tests.service.conftest import running
from tests.service.test_people import PASSWORD, csrf, person, quick, signed_in  # noqa: F401 - a fixture

from shelflife import plan
from shelflife.events import kinds
from shelflife.system import System
from shelflife.testing import plans
from shelflife.testing.clock import ManualClock
from shelflife.views.detail import detail
from shelflife.views.lifeline import lifeline
from shelflife.views.record import SENTENCES, record
from shelflife.watch import findings
from shelflife.watch.findings import Found
from shelflife.web import picture
from shelflife.workspace import Settings

NAME = "support-desk"
DAY = timedelta(days=1)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
pytestmark = pytest.mark.usefixtures("quick")
# What is asked of the database is asked of both; what only looks otherwise is looked at once.
ON_BOTH = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
ON_ONE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def written(**given: Any) -> plan.Written:
    """The plan of a support desk, with some things changed."""
    raw = json.loads(plans.text())
    raw["feeds"] = {"tickets": {"fresh_within": "2d"}}
    raw["objective"]["kpis"] = [{"name": "solved", "at_least": 0.7}]
    raw["review"] = {"every": "90d", "by": "lead"}
    return plan.parse(json.dumps({**raw, **given}, indent=1))


def live(system: System, clock: ManualClock, *, days: int = 24, worse: int = 12) -> None:
    """Twenty days of reference, then days of which those from `worse` on have many more errors."""
    rng = np.random.default_rng(7)

    def sent(intake: Any, kind: str, rows: list[dict[str, Any]]) -> None:
        intake.submit(NAME, kind, system.read(NAME, kind, rows).table).result()

    def day(intake: Any, share: float) -> list[dict[str, Any]]:
        start, rows, truth = clock.now(), [], []
        for number in range(80):
            told, wrong = rng.choice(["a", "b"]), rng.random() < share
            one = {"id": f"{start:%m%d}-{number}", "time": (start + timedelta(minutes=number)).isoformat()}
            score = float(np.clip(rng.normal(0.7 if wrong else 0.85, 0.05), 0.5, 1.0))
            inputs = {"text": "where is it", "channel": "mail", "age": float(rng.normal(40, 5))}
            rows.append({**one, "prediction": told, "score": score, "inputs": inputs})
            truth.append({"id": one["id"], "outcome": {"a": "b", "b": "a"}[told] if wrong else told})
        sent(intake, "predictions", rows)
        return truth

    with system.intake(drain_every=3600) as intake:
        for _ in range(20):
            sent(intake, "outcomes", day(intake, 0.1))
            clock.advance(DAY)
        intake.drain()
        system.watching.take_reference(NAME, by="lead")
        waiting: list[dict[str, Any]] = []
        for number in range(days):
            truth = day(intake, 0.1 if number < worse else 0.5)
            clock.advance(DAY)
            if waiting:
                sent(intake, "outcomes", waiting)
            waiting = truth
            intake.drain()
            system.watching.look(NAME)


def made(settings: Settings, clock: ManualClock) -> System:
    """A system that was watched, and has got worse; and two that were not."""
    system = System(settings, clock)
    system.apply(written(), by="lead", because="first")
    system.apply(written(system="churn", title=HOSTILE, objective={"why": HOSTILE}), by=HOSTILE, because=HOSTILE)
    system.apply(written(system="demand", feeds={}), by="lead", because="first")
    live(system, clock)
    return system


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime]:
    """The folder of such a workspace, and the time there."""
    clock = ManualClock(NOW)
    home = tmp_path_factory.mktemp("pages") / "workspace"
    made(Settings(home=home), clock).close()
    return home, clock.now()


@pytest.fixture
def watched(settings: Settings, clock: ManualClock, once: tuple[Path, datetime]) -> Iterator[System]:
    home, now = once
    if settings.database is None:
        shutil.copytree(home, settings.home)
        clock.advance(now - clock.now())
        system = System(settings, clock)
    else:
        system = made(settings, clock)
    person(system, "mara", "admin", "lead@example.com")
    yield system
    system.close()


@pytest.fixture
def site(watched: System) -> Iterator[httpx.Client]:
    with running(watched) as url, contextlib.closing(signed_in(url, "mara")) as browser:
        yield browser


@ON_BOTH
def test_pages_say_what_is_known(site: httpx.Client, watched: System, clock: ManualClock) -> None:
    living = watched.watching.findings(NAME)
    harm = next(one for one in living if one.code == "SL301")
    programme = site.get("/").text
    assert "1 of 3 systems needs somebody, Support desk first." in programme
    assert programme.index("/systems/support-desk") < programme.index("/systems/demand")
    page = site.get(f"/systems/{NAME}").text
    for one in living:
        assert f"/findings/{one.number}" in page
    assert "at least 80 %" in page
    assert "nothing seen yet" in page  # of the KPI
    of = site.get(f"/findings/{harm.number}").text
    line = watched.plan(NAME).line("watch", "performance")
    assert f"/systems/{NAME}/plan/1#L{line}" in of
    assert f'id="L{line}"' in site.get(f"/systems/{NAME}/plan/1").text
    assert "finding.opened" in of
    assert all(f"/findings/{one.number}" in site.get("/findings").text for one in living)
    assert site.get("/systems/none").status_code == 404
    assert site.get("/findings/999").status_code == 404
    assert site.get(f"/systems/{NAME}/plan/9").status_code == 404
    del clock


@ON_ONE
def test_the_lifeline_is_what_happened(watched: System, clock: ManualClock) -> None:
    line = lifeline(watched, NAME)
    assert line is not None
    change = clock.now() - 12 * DAY
    before = [one.observed for one in line.points if one.observed is not None and one.start < change]
    after = [one.observed for one in line.points if one.observed is not None and one.start >= change]
    assert np.mean(before) == pytest.approx(0.9, abs=0.03)
    assert np.mean(after) == pytest.approx(0.5, abs=0.06)
    assert [one.promised for one in line.points] == pytest.approx([0.8] * len(line.points))
    for one in line.points:
        if one.observed is not None:
            assert one.low is not None
            assert one.high is not None
            assert one.low < one.observed < one.high
    assert line.points[-1].observed is None  # its outcomes are not due yet
    assert line.points[-1].estimated is not None
    assert {mark.row for mark in line.marks} == {"finding", "plan", "reference"}
    found = next(mark for mark in line.marks if mark.row == "finding" and mark.living)
    assert abs((found.at - (clock.now() - 12 * DAY)) / DAY) <= 2
    # Each row once; those whose outcome was not due when the reference was taken stand before it.
    within = watched.plan(NAME).plan.model.outcome.within  # type: ignore[union-attr]
    due = [one for one in line.points if one.start < clock.now() - within - DAY]
    assert {one.known for one in due} == {80}
    assert {one.missing for one in line.points} == {0}
    assert line.points[0].start.date() == (clock.now() - 24 * DAY - within).date()
    assert detail(watched, NAME).promise == "at least 80 %"


@ON_ONE
def test_what_users_wrote_is_text(site: httpx.Client, watched: System) -> None:
    with watched.database.writing() as connection:
        found = [Found("SL301", HOSTILE, HOSTILE, HOSTILE, watched.clock.now(), 1, evidence={"column": HOSTILE})]
        (number,) = findings.tell(connection, "churn", found, plan=1, now=watched.clock.now())
    pages = ["/", "/systems/churn", "/systems/churn/plan", f"/findings/{number}", "/findings", "/ledger",
             "/ledger?system=churn", "/?q=script"]  # fmt: skip
    for path in pages:
        page = site.get(path).text
        assert "&lt;script&gt;" in page, path
        assert not re.search(r"<script|<img src=x|onerror=alert\(2\)>", page), path
        assert "style=" not in page, path
        assert not re.search(r"""(src|href|srcset)=["'](https?:)?//""", page), path


@ON_ONE
def test_people_decide_on_a_page(site: httpx.Client, watched: System, clock: ManualClock) -> None:
    person(watched, "tom", "viewer")
    url = str(site.base_url)
    (number, *_) = [one.number for one in watched.watching.findings(NAME) if one.code == "SL301"]
    with contextlib.closing(signed_in(url, "tom")) as viewer:
        assert '<form method="post" action="/findings' not in viewer.get(f"/findings/{number}").text
    fields = {"csrf": csrf(site), "reason": "a campaign", "until": f"{clock.now() + DAY:%Y-%m-%dT%H:%M}"}
    assert site.post(f"/findings/{number}/acknowledge", data=fields).headers["location"] == f"/findings/{number}"
    assert "mara knows" in site.get(f"/findings/{number}").text
    assert site.post(f"/findings/{number}/mute", data={**fields, "until": "soon"}).status_code == 422
    assert site.post(f"/findings/{number}/mute", data=fields).status_code == 303
    assert "a campaign" in site.get(f"/findings/{number}").text
    assert site.post(f"/findings/{number}/resolve", data={**fields, "reason": " "}).status_code == 422
    assert site.post(f"/findings/{number}/resolve", data=fields).status_code == 303
    assert site.post(f"/findings/{number}/resolve", data=fields).status_code == 422
    by = [(one.kind, one.by) for one in watched.ledger.entries(system=NAME) if one.by == "mara"]
    assert by == [("finding.acknowledged", "mara"), ("finding.muted", "mara"), ("finding.resolved", "mara")]


@ON_ONE
def test_many_are_shown_a_page_at_a_time(site: httpx.Client, watched: System) -> None:
    for number in range(60):
        watched.apply(written(system=f"s-{number}", title=f"System {number}"), by="lead", because="many")
    first, second = site.get("/").text, site.get("/", params={"page": 2}).text
    assert len(re.findall(r"<li>", first)) == 50
    assert len(re.findall(r"<li>", second)) == 13
    assert "Page 2 of 2" in second
    found = site.get("/", params={"q": "system 59"}).text
    assert len(re.findall(r"<li>", found)) == 1
    ledger = site.get("/ledger").text
    earlier = re.search(r'href="(/ledger\?before=\d+)"', ledger)
    assert earlier is None or site.get(earlier[1]).status_code == 200
    assert site.get("/ledger", params={"before": 5}).text.count("<li>") == 4


@ON_BOTH
def test_an_empty_workspace_says_what_would_be_there(settings: Settings, clock: ManualClock) -> None:
    system = System(settings, clock)
    person(system, "mara", "admin")
    with running(system) as url, contextlib.closing(signed_in(url, "mara")) as browser:
        assert "begins with the first plan" in browser.get("/").text
        assert "Nothing departs from a plan" in browser.get("/findings").text
        system.apply(written(), by="lead", because="first")
        assert "It begins with a reference" in browser.get(f"/systems/{NAME}").text
    system.close()


def words(page: str) -> str:
    """What a page says, without its marks."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@ON_ONE
def test_the_ledger_tells_each_event_in_a_sentence(site: httpx.Client, watched: System) -> None:
    assert set(SENTENCES) == set(kinds())
    watched.apply(written(title="Another"), by="lead", because="The title was wrong")
    watched.erase(NAME, "0501-1", by="officer")
    watched.accounts.first()
    done = record(watched).done
    assert [one.says for one in done if not re.search(r" .*[.!?]$", one.says, re.DOTALL)] == []
    page = words(site.get("/ledger").text)
    assert "Plan 2 was applied: The title was wrong." in page
    assert f"{watched.clock.now():%H:%M}" in page
    assert not re.search(r"\d\d:\d\d:\d\d\.\d", page)  # no moment as machines write it
    assert "unknown" not in page


@ON_ONE
def test_a_system_page_begins_with_what_its_list_begins_with(site: httpx.Client, watched: System) -> None:
    found = [Found("SL401", "SL401 solved", "Solved is too low", "at least 70 %", watched.clock.now(), 1),
             Found("SL401", "SL401 solved twice", "Solved is too low twice", "", watched.clock.now(), 1)]  # fmt: skip
    with watched.database.writing() as connection:
        numbers = findings.tell(connection, NAME, found, plan=1, now=watched.clock.now())
    page = site.get(f"/systems/{NAME}").text
    listed = re.findall(r'<a href="/findings/(\d+)">([^<]+)</a>', page[page.index('class="list"') :])
    title = re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)
    assert title is not None
    assert title[1] == listed[0][1]
    row = words(next(row for row in page.split("<tr>") if row.startswith("<td>KPI: solved")))
    assert row.count("broken promise") == 1
    assert f"finding {max(numbers)}" in row


@ON_ONE
def test_a_plan_in_words_leaves_nothing_out(site: httpx.Client, watched: System) -> None:
    feeds = {"tickets": {"fresh_within": "2d", "expect_rows": {"at_least": 200, "per": "1d"}}}
    watch = {**json.loads(plans.text())["watch"], "drift": {"tolerance": 0.05},
             "quality": {"nulls": {"within": 0.01}, "unseen": {"at_most": 0.02}}}  # fmt: skip
    watched.apply(written(feeds=feeds, watch=watch), by="lead", because="more")
    page = words(site.get(f"/systems/{NAME}/plan").text)
    page = page[page.index("In words") : page.index("As it was written")]
    for said in ("moves by at most 5 % of rows", "at most 1 % more are missing", "at most 2 % were never seen",
                 "at least 200 rows per 1d"):  # fmt: skip
        assert said in page
    assert page.count("Promised") == 1


@ON_ONE
def test_what_is_not_there_is_not_shown_as_something_else(site: httpx.Client, watched: System) -> None:
    for path, said in ((f"/systems/{NAME}/plan?number=99", "There is no plan 99"),
                       ("/?page=99", "There is no page 99; the last is 1."),
                       ("/findings/999", "There is no finding 999.")):  # fmt: skip
        answer = site.get(path)
        assert answer.status_code == 404
        assert said in words(answer.text)
        assert "shelflife " not in words(answer.text)
    assert "number is to be a whole number; found 'abc'." in words(site.get("/findings/abc").text).replace(" is", " is")
    assert "page is to be a whole number; found 'abc'." in words(site.get("/?page=abc").text)
    assert "shelflife ledger" not in site.get("/ledger").text
    assert site.get(f"/systems/{NAME}/plan?number=1").status_code == 200


def test_the_first_picture_is_drawn_before_anybody_waits_for_it() -> None:
    before = picture.drawn.cache_info()
    picture.warm()
    assert picture.drawn.cache_info() == before  # what is kept is for pictures that are seen


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
@ON_ONE
def test_pages_in_a_browser(watched: System, chromium: str, tmp_path: Path, scheme: Any, width: int) -> None:
    """Signed in as a person does it, with nothing in the console, nothing beside the screen, and every page there."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    (number, *_) = [one.number for one in watched.watching.findings(NAME)]
    paths = ["/", f"/systems/{NAME}", "/systems/churn", "/findings", f"/findings/{number}", f"/systems/{NAME}/plan",
             "/ledger", "/people", "/api"]  # fmt: skip
    said: list[str] = []
    with running(watched) as url, sync.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        screen = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        tab = screen.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("requestfailed", lambda request: said.append(request.url))
        tab.goto(url)
        tab.get_by_label("Name").fill("mara")
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url(f"{url}/")
        for place, path in enumerate(paths):
            answer = tab.goto(f"{url}{path}", wait_until="load")
            assert answer is not None
            assert answer.status == 200
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
            tab.screenshot(path=tmp_path / f"{place}.png", full_page=True)
            dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
            assert dark == (scheme == "dark"), path
        tab.goto(f"{url}/systems/{NAME}")
        assert tab.evaluate("document.querySelector('figure img').naturalWidth") > 0
        tab.goto(f"{url}/findings/{number}")
        tab.get_by_role("button", name="I know of it").click()
        assert tab.get_by_text("mara knows").is_visible()
        browser.close()
    assert said == []
    assert all((tmp_path / f"{place}.png").stat().st_size > 5_000 for place in range(len(paths)))


def test_what_draws_waits_for_what_another_thread_is_importing() -> None:
    # A renewal that is gone on with imports pandas while the service starts; half of it ended the service.
    program = textwrap.dedent("""
        import importlib.abc, os, sys, threading, traceback

        def over():
            "Whether the main thread waits for this import, or has ended."
            main = threading.main_thread()
            frames = traceback.extract_stack(sys._current_frames().get(main.ident))
            return not main.is_alive() or any(one.name == "warm" and "import pandas" in one.line for one in frames)

        class Slow(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name == "pandas.core.api":
                    begun.set()
                    while not over():
                        os.sched_yield()

        from shelflife.web import picture

        assert "pandas" not in sys.modules
        begun = threading.Event()
        sys.meta_path.insert(0, Slow())
        threading.Thread(target=__import__, args=("pandas",)).start()
        assert begun.wait(20)
        picture.warm()
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
