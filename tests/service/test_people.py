"""Who may do what: accounts, links, sessions, tokens, and every route by everybody."""

from __future__ import annotations

import contextlib
import re
import urllib.parse
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from tests.service.conftest import running

from shelflife import accounts, plan
from shelflife.accounts import FIRST_LINK, LINK, SESSION, NotSignedIn, TooManyAttempts
from shelflife.errors import BadInput
from shelflife.rights import OF_TOKENS, ROLES
from shelflife.server import create
from shelflife.system import System
from shelflife.testing import plans
from shelflife.testing.clock import ManualClock
from shelflife.watch import findings
from shelflife.watch.findings import Found

# Nothing here is about tables, wherever they lie.
pytestmark = pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)

SYSTEM = "parcel-delay"
OTHER = "support-desk"
PASSWORD = "a long enough one"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords whose hashes cost little: hundreds are tried here."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", lambda: hasher)


def person(system: System, name: str, role: str, email: str | None = None) -> None:
    """An account whose password is chosen."""
    _, secret = system.accounts.make(name, role=role, email=email, by="lead")
    system.accounts.choose(secret, PASSWORD)


def signed_in(url: str, name: str) -> httpx.Client:
    """A browser, as it were, in which somebody has signed in."""
    client = httpx.Client(base_url=url, headers={"Origin": url})
    answer = client.post("/sign-in", data={"name": name, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return client


def csrf(client: httpx.Client) -> str:
    """The token of a session's forms."""
    found = re.search(r'name="csrf" value="(\w+)"', client.get("/").text)
    assert found is not None
    return found[1]


# ---- accounts --------------------------------------------------------------------------------------------------------


def test_nobody_has_a_password_that_nobody_chose(system: System, clock: ManualClock) -> None:
    assert system.accounts.every() == []
    secret = system.accounts.first()
    assert secret is not None
    assert system.accounts.invited(secret) == (True, None)
    newer = system.accounts.first()  # of a start after it
    assert newer is not None
    assert system.accounts.invited(secret) == (False, None)
    clock.advance(FIRST_LINK)
    assert system.accounts.invited(newer) == (False, None)
    with pytest.raises(NotSignedIn, match="counts no longer"):
        system.accounts.choose(newer, PASSWORD, name="mara")
    last = system.accounts.first()
    assert last is not None
    with pytest.raises(BadInput, match="12 to 1000 characters; found 5"):
        system.accounts.choose(last, "short", name="mara")
    with pytest.raises(BadInput, match="small letters"):
        system.accounts.choose(last, PASSWORD, name="<b>")
    assert system.accounts.choose(last, PASSWORD, name="mara").role == "admin"
    with pytest.raises(NotSignedIn):
        system.accounts.choose(last, PASSWORD, name="eve")
    assert system.accounts.first() is None


def test_a_link_counts_once_and_for_a_time(system: System, clock: ManualClock) -> None:
    _, secret = system.accounts.make("tom", role="viewer", by="lead")
    with pytest.raises(NotSignedIn):
        system.accounts.sign_in("tom", "", address="here")
    newer = system.accounts.invite("tom", by="lead")
    assert system.accounts.invited(secret) == (False, None)
    clock.advance(LINK)
    assert system.accounts.invited(newer) == (False, None)
    system.accounts.choose(system.accounts.invite("tom", by="lead"), PASSWORD)
    session, account = system.accounts.sign_in("tom", PASSWORD, address="here")
    assert system.accounts.of_session(session) == account
    system.accounts.choose(system.accounts.invite("tom", by="lead"), f"{PASSWORD} two")
    assert system.accounts.of_session(session) is None
    session, _ = system.accounts.sign_in("tom", f"{PASSWORD} two", address="here")
    clock.advance(SESSION)
    assert system.accounts.of_session(session) is None
    session, _ = system.accounts.sign_in("tom", f"{PASSWORD} two", address="here")
    with pytest.raises(BadInput, match=r"There is an account 'tom' already\."):
        system.accounts.make("tom", role="viewer", by="lead")
    system.accounts.shut("tom", by="lead")
    assert system.accounts.of_session(session) is None
    with pytest.raises(BadInput, match="is closed"):
        system.accounts.invite("tom", by="lead")


def test_no_secret_is_kept(system: System) -> None:
    _, link = system.accounts.make("tom", role="viewer", by="lead")
    system.accounts.choose(link, PASSWORD)
    session, _ = system.accounts.sign_in("tom", PASSWORD, address="here")
    token, _ = system.tokens.make("ci", ["read"], by="lead")
    kept = []
    with system.database.reading() as connection:
        for name in ("accounts", "links", "sessions", "tokens", "attempts", "ledger"):
            kept += [str(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]
    for secret in (PASSWORD, link, session, token.split("_", 2)[2]):
        assert secret not in "".join(kept)
    assert any("$argon2id$" in row for row in kept)


def test_wrong_passwords_slow_down(system: System, clock: ManualClock) -> None:
    person(system, "tom", "viewer")
    waits = []
    for _ in range(20):
        with pytest.raises(NotSignedIn):
            system.accounts.sign_in("tom", "wrong but long", address="192.0.2.1")
        try:
            system.accounts.sign_in("tom", "wrong but long", address="192.0.2.1")
        except TooManyAttempts as error:
            waits.append(error.seconds)
            clock.advance(timedelta(seconds=error.seconds))
        except NotSignedIn:
            waits.append(0)
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert waits[-1] == 900
    with pytest.raises(NotSignedIn):
        system.accounts.sign_in("tom", "wrong but long", address="192.0.2.1")
    with pytest.raises(TooManyAttempts):  # the right one does not tell that it is right
        system.accounts.sign_in("tom", PASSWORD, address="192.0.2.1")
    system.accounts.sign_in("tom", PASSWORD, address="192.0.2.7")  # he himself is elsewhere
    clock.advance(timedelta(hours=1))
    system.accounts.sign_in("tom", PASSWORD, address="192.0.2.1")
    failed = system.ledger.entries(kind="signed.wrong")
    assert {entry.by for entry in failed} == {"tom"}


def test_many_names_from_one_address_and_one_name_from_many_slow_down_too(system: System) -> None:
    def attempts(names: list[str], addresses: list[str]) -> int:
        for number, (name, address) in enumerate(zip(names, addresses, strict=True)):
            try:
                system.accounts.sign_in(name, PASSWORD, address=address)
            except TooManyAttempts:
                return number
            except NotSignedIn:
                continue
        return len(names)

    assert attempts([f"name-{number}" for number in range(30)], ["192.0.2.1"] * 30) == 20
    assert attempts(["tom"] * 60, [f"192.0.2.{number + 2}" for number in range(60)]) == 50
    by = {entry.by for entry in system.ledger.entries(kind="signed.wrong")}
    assert by == {"somebody"}  # what is no name may be a password


def test_right_passwords_are_no_wrong_ones(system: System, clock: ManualClock) -> None:
    for number in range(25):
        person(system, f"p{number}", "viewer")
    for _ in range(3):
        for number in range(25):  # at one address, as in an office
            system.accounts.sign_in(f"p{number}", PASSWORD, address="203.0.113.5")
    for number in range(60):  # from one name, as of a job
        system.accounts.sign_in("p0", PASSWORD, address=f"198.51.100.{number}")
    for number in range(21):
        with pytest.raises(NotSignedIn):
            system.accounts.sign_in(f"n{number}", "wrong but long", address="203.0.113.5")
        clock.advance(timedelta(seconds=1))
    clock.advance(timedelta(seconds=1))
    system.accounts.sign_in("p1", PASSWORD, address="203.0.113.5")  # after the wait, and makes no new one
    system.accounts.sign_in("p2", PASSWORD, address="203.0.113.5")


def test_a_name_is_no_address(system: System) -> None:
    person(system, "tom", "viewer")
    for number in range(30):
        for name in ("@203.0.113.5", "address", "tom@203.0.113.5"):
            with pytest.raises(NotSignedIn):
                system.accounts.sign_in(name, "wrong but long", address=f"198.51.100.{number}")
    system.accounts.sign_in("tom", PASSWORD, address="203.0.113.5")


def test_there_is_always_somebody_who_administers(system: System) -> None:
    person(system, "mara", "admin")
    system.accounts.make("second", role="admin", by="mara")  # who never chose a password
    for does in (lambda: system.accounts.shut("mara", by="mara"),
                 lambda: system.accounts.change("mara", role="owner", by="mara")):  # fmt: skip
        with pytest.raises(BadInput, match="the last who may administer"):
            does()
    person(system, "third", "admin")
    assert system.accounts.change("mara", role="owner", email="Mara@example.com", by="third").role == "owner"
    with pytest.raises(BadInput, match="has the address"):
        system.accounts.make("fourth", role="viewer", email="mara@example.com", by="third")
    with pytest.raises(BadInput, match=r"A role is one of viewer, .* Did you mean 'owner'"):
        system.accounts.change("mara", role="ower", by="third")


def test_a_plan_gives_its_people_more_in_their_system(system: System) -> None:
    system.apply(plan.parse(plans.text()), by="lead", because="another")
    for number, (role, given) in enumerate((("approver", "owner"), ("engineer", "contributor"))):
        email = next(one.email for one in system.plan(SYSTEM).plan.people.values() if one.role == role)
        account, _ = system.accounts.make(f"tom-{number}", role="viewer", email=str(email).upper(), by="lead")
        assert system.accounts.role(account, SYSTEM) == given
        assert system.accounts.role(account, OTHER) == "viewer"
    assert system.accounts.role(system.accounts.change("tom-1", role="admin", by="lead"), SYSTEM) == "admin"


# ---- every route by everybody ----------------------------------------------------------------------------------------

# What each route asks for; a route that is not here fails the test.
OPEN = "open"  # to everybody
API = {
    ("GET", "/health/live"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/badge/{system}.svg"): OPEN,
    ("GET", "/api/v1/openapi.json"): OPEN,
    ("GET", "/metrics"): "read",
    ("GET", "/api/v1/systems"): "read",
    ("GET", "/api/v1/systems/{system}"): "read",
    ("GET", "/api/v1/findings"): "read",
    ("GET", "/api/v1/findings/{number}"): "read",
    ("POST", "/api/v1/findings/{number}/acknowledge"): "act",
    ("POST", "/api/v1/findings/{number}/mute"): "decide",
    ("POST", "/api/v1/findings/{number}/resolve"): "decide",
    ("GET", "/api/v1/renewals"): "read",
    ("GET", "/api/v1/renewals/{number}"): "read",
    ("POST", "/api/v1/renewals/{number}/approve"): "decide",
    ("POST", "/api/v1/renewals/{number}/reject"): "decide",
    ("POST", "/api/v1/renewals/{number}/cancel"): "decide",
    ("POST", "/api/v1/systems/{system}/renewals"): "act",
    ("POST", "/api/v1/systems/{system}/rollback"): "decide",
    ("GET", "/api/v1/systems/{system}/versions"): "read",
    ("GET", "/api/v1/systems/{system}/versions/{number}"): "read",
    ("GET", "/api/v1/systems/{system}/changes"): "read",
    ("POST", "/api/v1/systems/{system}/changes"): "act",
    ("POST", "/api/v1/systems/{system}/changes/{number}/withdraw"): "act",
    ("POST", "/api/v1/systems/{system}/{kind}"): "observe",
}
PAGES = {
    ("GET", "/api"): OPEN,
    ("GET", "/static/style.css"): OPEN,
    ("GET", "/"): "read",
    ("GET", "/systems/{system}"): "read",
    ("GET", "/systems/{system}/lifeline.svg"): "read",
    ("GET", "/systems/{system}/plan"): "read",
    ("GET", "/systems/{system}/plan/{number}"): "read",
    ("GET", "/findings"): "read",
    ("GET", "/findings/{number}"): "read",
    ("GET", "/renewals"): "read",
    ("GET", "/renewals/{number}"): "read",
    ("GET", "/systems/{system}/versions"): "read",
    ("GET", "/systems/{system}/versions/{first}/{second}"): "read",
    ("POST", "/renewals/{number}/approve"): "approve",  # whom the plan asks
    ("POST", "/renewals/{number}/reject"): "approve",
    ("POST", "/renewals/{number}/cancel"): "decide",
    ("POST", "/systems/{system}/rollback"): "decide",
    ("GET", "/ledger"): "read",
    ("GET", "/sign-in"): OPEN,
    ("POST", "/sign-in"): OPEN,
    ("GET", "/link/{secret}"): OPEN,
    ("POST", "/link/{secret}"): OPEN,
    ("POST", "/sign-out"): "read",
    ("GET", "/people"): "administer",
    ("POST", "/people"): "administer",
    ("POST", "/people/{name}/link"): "administer",
    ("POST", "/people/{name}/change"): "administer",
    ("POST", "/people/{name}/close"): "administer",
    ("POST", "/tokens"): "administer",
    ("POST", "/tokens/{token}/revoke"): "administer",
    ("POST", "/findings/{number}/acknowledge"): "act",
    ("POST", "/findings/{number}/mute"): "decide",
    ("POST", "/findings/{number}/resolve"): "decide",
}


class Everybody:
    """Everybody who may come to a service, and what each may do to `SYSTEM`."""

    def __init__(self, system: System, clock: ManualClock, url: str) -> None:
        self.url = url
        self.people: dict[str, tuple[httpx.Client, str, frozenset[str]]] = {}
        self.programs: dict[str, tuple[httpx.Client, frozenset[str]]] = {}
        ages = {}
        for role, may in ROLES.items():
            person(system, role, role)
            ages[role] = may
        people = [one for one in system.plan(SYSTEM).plan.people.values() if one.email is not None]
        for role in ("owner", "analyst", "approver"):
            given = next(one for one in people if one.role == role)
            person(system, f"{role}-by-plan", "viewer", given.email)
            ages[f"{role}-by-plan"] = ROLES["contributor" if role == "analyst" else "owner"]
        ages["approver-by-plan"] |= {"approve"}
        person(system, "closed", "admin")
        for name in (*ages, "closed"):
            client = signed_in(url, name)
            self.people[name] = (client, csrf(client), ages.get(name, frozenset()))
        system.accounts.shut("closed", by="admin")
        self.people["nobody"] = (httpx.Client(base_url=url), "", frozenset())
        for action in OF_TOKENS:
            self._program(system, action, [action], frozenset({action}))
        self._program(system, "of another system", list(OF_TOKENS), frozenset(), only=[OTHER])
        self._program(system, "revoked", list(OF_TOKENS), frozenset())
        system.tokens.revoke(next(one.id for one in system.tokens.every() if one.name == "revoked"), by="lead")
        self.programs["none"] = (httpx.Client(base_url=url), frozenset())
        for name, (client, _, _) in self.people.items():
            self.programs[f"session of {name}"] = (client, frozenset())  # a page's session is no token
        del clock

    def _program(self, system: System, name: str, may: list[str], counts: frozenset[str], **asked: Any) -> None:
        secret, _ = system.tokens.make(name, may, by="lead", **asked)
        client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {secret}"})
        self.programs[name] = (client, counts)

    def close(self) -> None:
        for client, *_ in (*self.people.values(), *self.programs.values()):
            client.close()


@pytest.fixture
def everybody(service: tuple[str, str], system: System, clock: ManualClock) -> Iterator[Everybody]:
    system.apply(plan.parse(plans.text()), by="lead", because="another")
    found = Everybody(system, clock, service[0])
    yield found
    found.close()


def routes(system: System) -> set[tuple[str, str]]:
    """Every method and path of the application."""

    def within(router: Any) -> Iterator[tuple[str, str]]:
        for route in router.routes:
            if hasattr(route, "original_router"):
                yield from within(route.original_router)
            else:
                yield from ((method, route.path) for method in route.methods - {"HEAD"})

    return set(within(create(system)))


def filled(path: str, finding: int) -> str:
    given = {"system": SYSTEM, "number": finding, "name": "somebody", "token": "none", "secret": "none",
             "kind": "predictions", "digest": "none", "first": 1, "second": 2}  # fmt: skip
    return path.format_map(given)


def test_every_route_is_listed(system: System) -> None:
    assert routes(system) == API.keys() | PAGES.keys()


def asked_for(described: dict[str, Any], method: str, path: str, fields: dict[str, str]) -> dict[str, str]:
    """What a route asks for in its body, by the description of the API."""
    sent = described["paths"].get(path, {}).get(method.lower(), {}).get("requestBody")
    if sent is None:
        return {}
    name = sent["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return {one: fields[one] for one in described["components"]["schemas"][name]["properties"] if one in fields}


def test_every_route_lets_in_whom_it_is_for(everybody: Everybody, system: System) -> None:
    with system.database.writing() as connection:
        found = [Found("SL301", "one", "x", "y", None, 1)]
        (finding,) = findings.tell(connection, SYSTEM, found, plan=1, now=system.clock.now())
    assert system.renewing.start(SYSTEM, because="to see", by="lead").number == finding == 1
    until = (system.clock.now() + timedelta(days=1)).isoformat()
    fields = {"reason": "because", "because": "because", "until": until, "what": "a tariff", "effective": until}
    described = httpx.get(f"{everybody.url}/api/v1/openapi.json").json()
    wrong = []
    for (method, path), asks in API.items():
        for name, (client, may) in everybody.programs.items():
            # What belongs to no one system is open to a token of any.
            counts = asks in may or (name == "of another system" and asks == "read" and "{" not in path)
            body = [] if path.endswith("{kind}") else asked_for(described, method, path, fields)
            answer = client.request(method, filled(path, finding), **({} if method == "GET" else {"json": body}))
            known = "session" not in name and name not in {"none", "revoked"}
            expected = None if asks == OPEN or counts else 403 if known else 401
            if (answer.status_code if answer.status_code in {401, 403} else None) != expected:
                wrong.append((method, path, name, answer.status_code, expected))
    for (method, path), asks in sorted(PAGES.items(), key=lambda one: one[0][1] == "/sign-out"):
        for name, (client, token, may) in everybody.people.items():
            given = {} if method == "GET" else {"data": {**fields, "csrf": token}}
            answer = client.request(method, filled(path, finding), **given)
            away = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
            found_out = "away" if away else "denied" if answer.status_code in {403, 429} else "in"
            known = name not in {"nobody", "closed"}
            expected = "in" if asks == OPEN or asks in may else "denied" if known else "away"
            if path == "/sign-out":
                expected = "away"
            if (method, path) == ("POST", "/sign-in"):
                expected = "denied"  # of no name and no password
            if found_out != expected:
                wrong.append((method, path, name, answer.status_code, expected))
    assert wrong == []


def test_what_is_denied_is_in_the_ledger(everybody: Everybody, system: System, clock: ManualClock) -> None:
    viewer, token, _ = everybody.people["viewer"]
    observing, _ = everybody.programs["observe"]
    before = len(system.ledger.entries(kind="access.denied"))
    for _ in range(3):
        assert viewer.get("/people").status_code == 403
        assert observing.get(f"/api/v1/systems/{SYSTEM}").status_code == 403
        assert viewer.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
        assert httpx.get(f"{everybody.url}/api/v1/systems", headers={"Authorization": "Bearer x"}).status_code == 401
    found = [(entry.by, entry.body["action"]) for entry in system.ledger.entries(kind="access.denied")[before:]]
    assert sorted(found) == [
        ("token observe", "read"), ("unknown token", "read"), ("viewer", "administer"), ("viewer", "form"),
    ]  # fmt: skip
    clock.advance(timedelta(minutes=1))
    assert viewer.get("/people").status_code == 403
    assert len(system.ledger.entries(kind="access.denied")) == before + 5
    del token


def test_sessions_and_tokens_expire(service: tuple[str, str], system: System, clock: ManualClock) -> None:
    person(system, "tom", "viewer")
    secret, _ = system.tokens.make("short", ["read"], lasts=timedelta(hours=1), by="lead")
    system.accounts.make("eve", role="viewer", by="lead")
    with contextlib.closing(signed_in(service[0], "tom")) as browser:
        assert browser.get("/people").status_code == 403
        clock.advance(SESSION)
        assert browser.get("/people").headers["location"] == "/sign-in?next=%2Fpeople"
    assert system.tokens.find(secret) is None


def test_a_session_is_for_the_browser_alone(service: tuple[str, str], system: System) -> None:
    url, _ = service
    person(system, "tom", "admin")
    answer = httpx.post(f"{url}/sign-in", data={"name": "tom", "password": PASSWORD, "next": "//elsewhere.example/"})
    assert answer.headers["location"] == "/"
    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= flags
    secret = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    with contextlib.closing(signed_in(url, "tom")) as browser:
        token = csrf(browser)
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}):
            assert browser.post("/sign-out", data={"csrf": token}, headers=headers).status_code == 403
        own = {"Cookie": f"shelflife={secret}"}  # another session of the same account: its forms are its own
        assert httpx.post(f"{url}/sign-out", data={"csrf": token}, headers=own).status_code == 403
        assert browser.post("/sign-out", content=b"x" * 100_000).status_code == 422
        assert browser.post("/sign-out", content=b"\xff=%ff").status_code == 422
        assert browser.post("/sign-out", data={"csrf": token}).headers["location"] == "/sign-in"
        assert browser.get("/").headers["location"] == "/sign-in"
    assert httpx.get(f"{url}/people", headers=own).status_code == 200


def test_where_from_is_what_the_proxy_added_last(system: System) -> None:
    with running(system, behind_proxy=True) as url, httpx.Client(base_url=url) as client:
        for lines in (["192.0.2.1", "198.51.100.9"], ["192.0.2.1, 198.51.100.9"], ["192.0.2.1", "::1, 198.51.100.9"]):
            headers = [("x-forwarded-for", line) for line in lines]
            answer = client.post("/sign-in", data={"name": "tom", "password": "wrong but long"}, headers=headers)
            assert answer.status_code == 403
    failed = system.ledger.entries(kind="signed.wrong")
    assert [entry.body["address"] for entry in failed] == ["198.51.100.9"] * 3


def test_every_answer_is_guarded(service: tuple[str, str]) -> None:
    for path in ("/sign-in", "/nothing", "/api/v1/systems", "/health/live", "/link/x"):
        answer = httpx.get(f"{service[0]}{path}")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_hostile_words_are_shown_as_text(service: tuple[str, str], system: System) -> None:
    person(system, "tom", "admin")
    hostile = "<script>alert(1)</script>\"'"
    system.tokens.make(hostile, ["read"], by="lead")
    with contextlib.closing(signed_in(service[0], "tom")) as browser:
        token = csrf(browser)
        said = [
            browser.get("/people").text,
            browser.post("/people", data={"csrf": token, "name": hostile, "role": "viewer"}).text,
            browser.get("/sign-in", params={"next": f"/{hostile}"}).text,
            browser.post("/sign-in", data={"name": hostile, "password": "x"}).text,
        ]
    assert all("<script" not in page and "&lt;script&gt;" in page for page in said)


@pytest.mark.parametrize("word", ["\x00", "\ud800", "🦉" * 300, "../..", "%00", "' OR 1=1 --", "a" * 50_000])
def test_odd_words_break_nothing(service: tuple[str, str], system: System, word: str) -> None:
    url, _ = service
    person(system, "tom", "admin")
    quoted = urllib.parse.quote(word, errors="surrogatepass")
    with contextlib.closing(signed_in(url, "tom")) as browser:
        token = csrf(browser)
        fields = urllib.parse.urlencode({"csrf": token, "name": word, "password": word, "reason": word, "until": word},
                                        errors="surrogatepass")  # fmt: skip
        for path in ("/sign-in", "/people", "/tokens", f"/people/{quoted}/link", f"/people/{quoted}/close",
                     f"/tokens/{quoted}/revoke", "/findings/1/mute", f"/link/{quoted}"):  # fmt: skip
            assert browser.post(path, content=fields.encode()).status_code in {400, 403, 404, 405, 422}, path
        for path in (f"/?q={quoted}", f"/findings?system={quoted}", f"/systems/{quoted}", f"/ledger?before={quoted}",
                     f"/sign-in?next={quoted}", f"/findings/{quoted}", f"/link/{quoted}"):  # fmt: skip
            assert browser.get(path).status_code < 500, path
    assert httpx.get(f"{url}/api/v1/systems/{quoted}").status_code < 500
