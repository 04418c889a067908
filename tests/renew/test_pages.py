"""The pages of renewals and versions: what they say, who may do what there, and how they look in a browser."""

from __future__ import annotations

import contextlib
import html
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import NOW
from tests.renew.living import DESK, Desk, written
from tests.service.conftest import running
from tests.service.test_people import PASSWORD, csrf, person, quick, signed_in  # noqa: F401 - a fixture

from shelflife.system import System
from shelflife.testing.clock import ManualClock
from shelflife.views.record import record
from shelflife.workspace import Settings

pytestmark = pytest.mark.usefixtures("quick")
HOSTILE = "<script>alert(1)</script>\"'"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, mlflow_file: Path) -> tuple[Path, datetime]:
    """The folder of a workspace in which a renewal waits for a decision, and the time there."""
    clock = ManualClock(NOW)
    home = tmp_path_factory.mktemp("renewing") / "workspace"
    System(Settings(home=home), clock).close()
    shutil.copy(mlflow_file, home)
    system = System(Settings(home=home), clock)
    plan = written(challenger={"every": "4d", "better_by": 0.02})
    system.apply(plan, by="lead", because="first")
    desk = Desk(system, clock, turns=17)
    desk.first()
    desk.live(13)
    assert desk.newest.state == "waiting"
    for name, role, email in (
        ("mara", "viewer", "Lead@example.com"), ("tom", "viewer", None), ("olga", "owner", None),
        ("ann", "viewer", "analyst@example.com"),
    ):  # fmt: skip
        person(system, name, role, email)
    system.close()
    return home, clock.now()


@pytest.fixture
def desk(tmp_path: Path, clock: ManualClock, once: tuple[Path, datetime]) -> Iterator[Desk]:
    home, now = once
    shutil.copytree(home, tmp_path / "workspace")
    clock.advance(now - clock.now())
    system = System(Settings(home=tmp_path / "workspace"), clock)
    here = Desk(system, clock, turns=17)
    here.day = 27  # the days that went by
    yield here
    system.close()


@pytest.fixture
def site(desk: Desk) -> Iterator[httpx.Client]:
    with running(desk.system) as url, contextlib.closing(signed_in(url, "mara")) as browser:
        yield browser


def elsewhere(*does: Callable[[], None]) -> None:
    """Do things in a thread of their own: a browser keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        for one in does:
            pool.submit(one).result()


def anew(site: httpx.Client) -> None:
    """Sign in once more: sessions end as days go by."""
    assert site.post("/sign-in", data={"name": "mara", "password": PASSWORD}).status_code == 303


def words(page: str) -> str:
    """What a page says, without its marks."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_a_renewal_that_waits_is_seen_everywhere_and_decided_by_whom_the_plan_asks(
    site: httpx.Client, desk: Desk
) -> None:
    number, version = desk.newest.number, desk.newest.challenger
    assert f'href="/renewals/{number}"' in site.get("/").text
    assert f"Version {version} waits for Deputy or Lead to decide" in words(site.get(f"/systems/{DESK}").text)
    assert "1 renewal waits for a decision" in words(site.get("/renewals").text)
    page = site.get(f"/renewals/{number}").text
    assert f"Support desk: version {version} waits for Deputy or Lead to decide." in words(page)
    assert words(page).count("● pass") == len(desk.system.renewing.renewal(number)[1][5].evidence["verdicts"])
    assert 'http-equiv="refresh"' not in page  # what is typed would be lost
    for name in ("tom", "olga", "ann"):
        with contextlib.closing(signed_in(str(site.base_url), name)) as other:
            seen = other.get(f"/renewals/{number}").text
            assert f"/renewals/{number}/approve" not in seen
            assert "The plan asks Deputy or Lead" in words(seen) or "the plan asks owner" in words(seen)
            answer = other.post(f"/renewals/{number}/approve", data={"csrf": csrf(other)})
            assert answer.status_code == 403
    fields = {"csrf": csrf(site), "reason": ""}
    assert site.post(f"/renewals/{number}/reject", data=fields).status_code == 422
    assert site.post(f"/renewals/{number}/approve", data=fields).status_code == 303
    assert site.post(f"/renewals/{number}/approve", data=fields).status_code == 422
    (given,) = [one for one in desk.system.ledger.entries(kind="approval.given") if one.body["renewal"] == number]
    assert given.by == "lead"
    page = site.get(f"/renewals/{number}").text
    assert 'http-equiv="refresh"' in page
    assert 'http-equiv="refresh"' not in site.get(f"/renewals/{number}?ending=1").text
    desk.tend()
    assert "version 1 70 %" in words(site.get(f"/systems/{DESK}/versions").text)
    desk.live(2)
    anew(site)
    page = words(site.get(f"/renewals/{number}").text)
    assert f"Version {version} answered 30 % of requests" in page
    assert "Requests answered" in page
    assert "at most 2 points allowed" in page


def test_a_rejection_is_said_with_its_reason(site: httpx.Client, desk: Desk) -> None:
    number = desk.newest.number
    fields = {"csrf": csrf(site), "reason": HOSTILE}
    assert site.post(f"/renewals/{number}/reject", data=fields).status_code == 303
    desk.tend()
    for path in (f"/renewals/{number}", "/renewals", "/ledger"):
        page = site.get(path).text
        assert "<script" not in page
        assert "style=" not in page
    assert "rejected by lead" in words(site.get(f"/renewals/{number}").text)
    assert "&lt;script&gt;" in site.get(f"/renewals/{number}").text


def test_a_renewal_is_cancelled_for_a_reason(site: httpx.Client, desk: Desk) -> None:
    number = desk.newest.number
    path, token = f"/renewals/{number}/cancel", csrf(site)
    assert site.post(path, data={"csrf": token}).status_code == 422
    assert site.post(path, data={"csrf": token, "reason": "another plan"}).status_code == 303
    assert site.post(path, data={"csrf": token, "reason": "again"}).status_code == 422
    assert desk.newest.state == "cancelled"
    assert "the renewal was cancelled" in words(site.get(f"/renewals/{number}").text)


def test_versions_say_which_answers_and_one_can_go_back(site: httpx.Client, desk: Desk) -> None:
    number, version = desk.newest.number, desk.newest.challenger
    page = words(site.get(f"/systems/{DESK}/versions").text)
    assert "Version 1 is champion and answers everybody." in page
    assert "Go back to" not in page  # there is nothing before it
    desk.system.renewing.decide(number, approve=True, person="lead", reason="")
    desk.tend()
    desk.live(5)
    anew(site)
    assert desk.system.renewing.renewal(number)[0].state == "promoted"
    page = words(site.get(f"/systems/{DESK}").text)
    assert f"Version {version} is champion since" in page
    assert "Go back to version 1" in page
    compared = words(site.get(f"/systems/{DESK}/versions/1/{version}").text)
    assert f"Versions 1 and {version} differ in data" in compared
    assert "overall · accuracy" in compared
    assert site.get(f"/systems/{DESK}/versions/1/99").status_code == 404
    assert site.get("/systems/none/versions").status_code == 404
    assert site.get("/renewals/99").status_code == 404
    fields = {"csrf": csrf(site), "reason": "complaints"}
    assert site.post(f"/systems/{DESK}/rollback", data={**fields, "reason": ""}).status_code == 422
    assert site.post(f"/systems/{DESK}/rollback", data=fields).headers["location"] == f"/systems/{DESK}/versions"
    assert "Version 1 is champion and answers everybody." in words(site.get(f"/systems/{DESK}/versions").text)
    told = [one.says for one in record(desk.system).done]
    assert f"Version 1 answers again, and version {version} no longer: complaints." in told
    assert [one for one in told if "unknown" in one] == []


def test_what_a_trainer_raised_is_said_in_a_line_and_its_log_stands_apart(site: httpx.Client, desk: Desk) -> None:
    desk.system.renewing.cancel(desk.newest.number, reason="another one", by="lead")
    desk.system.apply(written(train="tests.renew.apprentices:stubborn"), by="lead", because="to see it fail")
    desk.system.renewing.start(DESK, because="to see it fail", by="analyst")
    desk.tend()
    page = site.get(f"/renewals/{desk.newest.number}").text
    above, _, steps = page.partition("The steps")
    assert "stubborn raised RuntimeError: this trainer never learns" in words(above)
    assert "Traceback" not in above
    assert "Traceback" not in re.sub("(?s)<pre.*?</pre>", "", steps)
    assert "RuntimeError: this trainer never learns" in steps.split("<pre")[1]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_pages_in_a_browser(desk: Desk, chromium: str, tmp_path: Path, scheme: Any, width: int) -> None:
    """A person signs in, looks, approves, and sees the canary; nothing is in the console or off the screen."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    number, version = desk.newest.number, desk.newest.challenger
    first = ["/", f"/systems/{DESK}", "/renewals", f"/renewals/{number}", f"/renewals/{number - 1}",
             f"/renewals/{number}?ending=1", f"/systems/{DESK}/versions", f"/systems/{DESK}/versions/1/{version}",
             "/ledger"]  # fmt: skip
    said: list[str] = []
    with running(desk.system) as url, sync.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}).new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("requestfailed", lambda request: said.append(request.url))

        def look(path: str, name: str) -> None:
            answer = tab.goto(f"{url}{path}", wait_until="load")
            assert answer is not None
            assert answer.status == 200
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
            tab.screenshot(path=tmp_path / f"{name}.png", full_page=True)
            dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
            assert dark == (scheme == "dark"), path

        def sign_in() -> None:
            tab.goto(url)
            tab.get_by_label("Name").fill("mara")
            tab.get_by_label("Password").fill(PASSWORD)
            tab.get_by_role("button", name="Sign in").click()
            tab.wait_for_url(f"{url}/")

        sign_in()
        for place, path in enumerate(first):
            look(path, f"asked-{place}")
        tab.goto(f"{url}/renewals/{number}")
        tab.get_by_role("button", name=f"Approve version {version}").click()
        tab.wait_for_url(f"{url}/renewals/{number}")
        elsewhere(desk.tend, desk.live)
        sign_in()  # sessions end as days go by
        for place, path in enumerate((f"/renewals/{number}", f"/systems/{DESK}", f"/systems/{DESK}/versions")):
            look(path, f"canary-{place}")
        browser.close()
    assert said == []
    assert all(one.stat().st_size > 5_000 for one in tmp_path.glob("*.png"))
