"""The last good routes, on disk: a worker that begins while the database is away answers by them.

The file holds all that the database was asked for: routes, where the artifacts lie and their digests, plans, and of
tokens the digests. What it is loaded for is compared with its digest as ever.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from shelflife.errors import BadInput
from shelflife.plan import Written, recalled
from shelflife.routes import Routes
from shelflife.tokens import Token

NAME = "routes.json"


@dataclass(frozen=True)
class Version:
    """What the database says of a version.

    Attributes
    ----------
    source
        Where its artifact lies.
    digest
        Of the artifact.
    plan
        The number of its plan.
    """

    source: str
    digest: str
    plan: int
    written: Written


@dataclass(frozen=True)
class Last:
    """What the database said last.

    Attributes
    ----------
    versions
        Those that the routes ask for, by system and number.
    private
        Inputs of each system that are kept as digests, by the newest plan.
    tokens
        Those that counted, by their digests; none where nobody asks for tokens.
    """

    routes: Mapping[str, Routes]
    versions: Mapping[tuple[str, int], Version]
    private: Mapping[str, frozenset[str]]
    tokens: Mapping[str, Token] = field(default_factory=dict)

    def beside(self, before: Last | None, systems: Collection[str]) -> Last:
        """With what was said before of systems that have routes and cannot be served by them as yet."""
        more = set(systems) - set(self.routes)
        if before is None or not more & set(before.routes):
            return self
        routes = {name: one for name, one in before.routes.items() if name in more}
        versions = {one: said for one, said in before.versions.items() if one[0] in routes}
        private = {name: before.private[name] for name in routes}
        return Last({**routes, **self.routes}, {**versions, **self.versions}, {**private, **self.private}, self.tokens)

    def text(self) -> str:
        """All of it as JSON."""
        plans: dict[str, dict[int, dict[str, str]]] = {}
        for (system, _), one in self.versions.items():
            plans.setdefault(system, {})[one.plan] = {"text": one.written.text, "said": one.written.said}
        systems = {
            system: {
                "routes": _plain(routes),
                "private": sorted(self.private.get(system, ())),
                "plans": plans.get(system, {}),
                "versions": {
                    number: {"source": one.source, "digest": one.digest, "plan": one.plan}
                    for (name, number), one in self.versions.items() if name == system
                },
            }
            for system, routes in self.routes.items()
        }  # fmt: skip
        tokens = {digest: _plain(token) for digest, token in self.tokens.items()}
        return json.dumps({"systems": systems, "tokens": tokens}, sort_keys=True)


def write(path: Path, text: str, *, of: str, at: datetime) -> None:
    """Put what the database said in place of what it said before: one or the other is there, whatever happens."""
    said = json.dumps({"of": of, "at": at.isoformat()}).encode() + b"\n" + text.encode()
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(hashlib.sha256(said).hexdigest().encode() + b"\n" + said)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path, *, of: str) -> tuple[Last, datetime] | None:
    """What a database said last, and when; None where nothing of it is there.

    Raises
    ------
    BadInput
        Where the file is damaged.
    """
    try:
        digest, _, said = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"The last routes cannot be read from {str(path)!r}: {error.strerror}.") from error
    if hashlib.sha256(said).hexdigest().encode() != digest:
        raise BadInput(f"The last routes in {str(path)!r} are damaged, and do not count.")
    head, _, text = said.partition(b"\n")
    try:
        about = json.loads(head)
        return (_read(json.loads(text)), datetime.fromisoformat(about["at"])) if about["of"] == of else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # of another Shelflife
        raise BadInput(f"The last routes in {str(path)!r} are not as they are written today.") from error


def identity(url: str | Path) -> str:
    """Which database it is, whoever asks it: what one said is no word of another one."""
    if isinstance(url, Path):
        return "workspace"
    try:
        found = make_url(url)
    except ArgumentError:
        return url
    # Passwords change, and the name of who asks; none of them is to be on the disk.
    plain = [found.get_backend_name(), found.host, found.port, found.database, found.query.get("host")]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


# ----------------------------------------------------------------------------------------------------------------------


def _plain(one: Any) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(one).items()}


def _read(said: Mapping[str, Any]) -> Last:
    routes, versions, private = {}, {}, {}
    for system, one in said["systems"].items():
        routes[system] = Routes(**{**one["routes"], "at": _moment(one["routes"]["at"])})
        private[system] = frozenset(one["private"])
        for number, version in one["versions"].items():
            plan = one["plans"][str(version["plan"])]
            digest = hashlib.sha256(plan["said"].encode()).hexdigest()
            written = recalled(plan["text"], plan["said"], digest, source=f"plan {version['plan']} of {system}")
            versions[system, int(number)] = Version(version["source"], version["digest"], version["plan"], written)
    return Last(routes, versions, private, {digest: _token(one) for digest, one in said["tokens"].items()})


def _token(said: Mapping[str, Any]) -> Token:
    only = None if said["systems"] is None else tuple(said["systems"])
    times = {name: _moment(said[name]) for name in ("since", "expires", "revoked")}
    return Token(**{**said, "may": tuple(said["may"]), "systems": only, **times})


def _moment(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)
