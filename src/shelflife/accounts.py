"""People: their accounts, the links by which they choose a password, their sessions, and who guesses too often.

Of every secret only a digest is kept; of a password one that is slow to guess (Argon2id). There is no password that
nobody chose: an account comes into being without one, with a link that counts once and for a time.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from shelflife.errors import BadInput, Missing, ShelflifeError, nearest
from shelflife.events import (
    AccountChanged,
    AccountClosed,
    AccountMade,
    LinkMade,
    PasswordChosen,
    SignedIn,
    SignedOut,
    SignInFailed,
)
from shelflife.ledger import append
from shelflife.rights import ROLES, higher
from shelflife.store.database import Database
from shelflife.store.schema import accounts, attempts, links, sessions

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FIRST_LINK = timedelta(hours=1)
LINK = timedelta(days=3)
SESSION = timedelta(hours=12)
_SHORTEST, _LONGEST = 12, 1000  # of a password, in characters
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
# How many wrong sign-ins cost no wait: of a name from one address, from one address, and of a name from everywhere.
_FREE = (5, 20, 50)
_LONGEST_WAIT = timedelta(minutes=15)
_FORGOTTEN = timedelta(hours=1)  # after the last wrong one
_AT_ONCE = threading.BoundedSemaphore(2)  # each check of a password takes 64 MB


class NotSignedIn(ShelflifeError):
    """A name and a password that do not belong together, whichever of them is wrong."""


class TooManyAttempts(ShelflifeError):
    """Wrong too often: the next attempt counts only after a wait."""

    def __init__(self, wait: timedelta) -> None:
        self.seconds = max(1, round(wait.total_seconds()))
        super().__init__(f"That was wrong too often. Try again in {self.seconds} s.")


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in.

    Attributes
    ----------
    name
        By which they sign in, and under which the ledger knows them.
    role
        What they may at every system: one of `shelflife.rights.ROLES`.
    email
        By which a plan's people are known to be them.
    chosen
        Whether they have a password.
    closed
        Since when they may not come in.
    """

    name: str
    role: str
    email: str | None
    chosen: bool
    since: datetime
    closed: datetime | None


def every(connection: Connection) -> list[Account]:
    """All accounts by name, closed ones among them."""
    return [_account(row) for row in connection.execute(select(accounts).order_by(accounts.c.name))]


def one(connection: Connection, name: str) -> Account:
    """An account by its name; raises `Missing` where there is none."""
    row = connection.execute(select(accounts).where(accounts.c.name == name)).one_or_none()
    if row is None:
        known = connection.execute(select(accounts.c.name)).scalars()
        raise Missing(f"There is no account {name!r}. {nearest(name, known)}".rstrip())
    return _account(row)


def make(connection: Connection, *, name: str, role: str, email: str | None, now: datetime, by: str) -> Account:
    """A new account, to which a link is still to be made.

    Raises
    ------
    BadInput
        Where there is one of this name or address, or a word cannot be used.
    """
    _check_role(role)
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"An account's name is of small letters, digits, dots, - and _, at most 63; found {name[:80]!r}."
        )
    if connection.execute(select(accounts.c.name).where(accounts.c.name == name)).one_or_none() is not None:
        raise BadInput(f"There is an account {name!r} already.")
    address = _address(connection, email, name)
    connection.execute(insert(accounts).values(name=name, role=role, email=address, hash=None, since=now, by=by))
    append(connection, AccountMade(name, role, address), at=now, by=by)
    return one(connection, name)


def change(
    connection: Connection, name: str, *, role: str | None = None, email: str | None = None, now: datetime, by: str
) -> Account:
    """Give an account another role or e-mail address; the last who may administer stays what it is."""
    found = one(connection, name)
    role = _check_role(role or found.role)
    if role != "admin":
        _check_not_last(connection, found)
    address = _address(connection, email, name) if email is not None else found.email
    connection.execute(update(accounts).where(accounts.c.name == name).values(role=role, email=address))
    append(connection, AccountChanged(name, role, address), at=now, by=by)
    return one(connection, name)


def close(connection: Connection, name: str, *, now: datetime, by: str) -> None:
    """Let an account in no more, from this moment; what it did stays in the ledger."""
    found = one(connection, name)
    if found.closed is not None:
        raise BadInput(f"The account {name!r} is closed since {found.closed:%Y-%m-%d}.")
    _check_not_last(connection, found)
    connection.execute(update(accounts).where(accounts.c.name == name).values(closed=now, hash=None))
    connection.execute(delete(sessions).where(sessions.c.account == name))
    connection.execute(delete(links).where(links.c.account == name))
    append(connection, AccountClosed(name), at=now, by=by)


def invite(connection: Connection, name: str | None, *, lasts: timedelta = LINK, now: datetime, by: str) -> str:
    """The secret of a link by which an account chooses a password, once; earlier ones count no longer.

    Without a name it is for the first account of all, whose name is chosen with it.
    """
    if name is not None and one(connection, name).closed is not None:
        raise BadInput(f"The account {name!r} is closed.")
    secret = secrets.token_urlsafe(32)
    connection.execute(delete(links).where(links.c.account.is_(None) if name is None else links.c.account == name))
    connection.execute(insert(links).values(digest=_digest(secret), account=name, since=now, expires=now + lasts))
    append(connection, LinkMade(name, now + lasts), at=now, by=by)
    return secret


def invited(connection: Connection, secret: str, now: datetime) -> tuple[bool, str | None]:
    """Whether a link counts, and for whom; nobody yet for the first account."""
    row = connection.execute(select(links).where(links.c.digest == _digest(secret))).one_or_none()
    if row is None or row.expires <= now or (row.account is None and any_open(connection)):
        return False, None
    return True, row.account


def any_open(connection: Connection) -> bool:
    """Whether there is an account that can sign in."""
    able = accounts.c.closed.is_(None), accounts.c.hash.is_not(None)
    return bool(connection.execute(select(func.count()).select_from(accounts).where(*able)).scalar())


def choose(database: Database, secret: str, password: str, *, name: str | None = None, now: datetime) -> Account:
    """Use up a link: its account has this password from now on, and its sessions are over.

    Raises
    ------
    NotSignedIn
        Where the link counts no longer.
    BadInput
        Where the password or the first account's name cannot be used; the link counts still.
    """
    with database.reading() as connection:
        counts, account = invited(connection, secret, now)
    if not counts:
        raise NotSignedIn("This link counts no longer. Ask for a new one: `shelflife account link NAME` makes it.")
    _check_password(password, account or name or "")
    with _AT_ONCE:
        hashed = _hasher().hash(password)
    with database.writing() as connection:
        counts, account = invited(connection, secret, now)
        if not counts:
            raise NotSignedIn("This link was used a moment ago.")
        if account is None:
            account = make(connection, name=name or "", role="admin", email=None, now=now, by="first link").name
        connection.execute(delete(links).where(links.c.digest == _digest(secret)))
        connection.execute(update(accounts).where(accounts.c.name == account).values(hash=hashed))
        connection.execute(delete(sessions).where(sessions.c.account == account))
        append(connection, PasswordChosen(account), at=now, by=account)
        return one(connection, account)


def sign_in(database: Database, name: str, password: str, *, address: str, now: datetime) -> tuple[str, Account]:
    """A session's secret, which is nowhere kept, for who knows the password.

    Raises
    ------
    NotSignedIn
        Where name and password do not belong together.
    TooManyAttempts
        Where it was wrong so often that whatever comes now is not looked at.
    """
    # Each with its kind, so that no name is taken for an address.
    keys = [_key(*of) for of in (("name at address", name, address), ("address", address), ("name", name))]
    try:
        with database.writing() as connection:
            last = _begin_attempt(connection, keys, now)  # before it is looked at: of a hundred at once each counts
            row = connection.execute(select(accounts).where(accounts.c.name == name)).one_or_none()
    except IntegrityError as error:  # another first attempt came in the same moment
        raise TooManyAttempts(timedelta(seconds=1)) from error
    known = row is not None and row.closed is None and row.hash is not None
    # Somebody who is not there takes as long as somebody who is.
    right = _verify(row.hash if row is not None and known else _nobody(), password)
    with database.writing() as connection:
        if row is None or not known or not right:
            # A name that is not there may be a password that was typed in the wrong place.
            append(connection, SignInFailed(address), at=now, by=name if row is not None else "somebody")
            known = False
        else:
            _end_attempt(connection, keys, last)
            connection.execute(delete(sessions).where(sessions.c.expires <= now))
            secret = secrets.token_urlsafe(32)
            connection.execute(
                insert(sessions).values(digest=_digest(secret), account=name, since=now, expires=now + SESSION)
            )
            append(connection, SignedIn(address), at=now, by=name)
            return secret, _account(row)
    raise NotSignedIn("Name and password do not belong together.")


def of_session(connection: Connection, secret: str, now: datetime) -> Account | None:
    """Who is signed in with a secret."""
    row = connection.execute(
        select(accounts)
        .join(sessions, sessions.c.account == accounts.c.name)
        .where(sessions.c.digest == _digest(secret), sessions.c.expires > now, accounts.c.closed.is_(None))
    ).one_or_none()
    return None if row is None else _account(row)


def sign_out(connection: Connection, secret: str, now: datetime) -> None:
    """End a session."""
    found = of_session(connection, secret, now)
    connection.execute(delete(sessions).where(sessions.c.digest == _digest(secret)))
    if found is not None:
        append(connection, SignedOut(), at=now, by=found.name)


def role_in(account: Account, people: Iterable[tuple[str | None, str]]) -> str:
    """The role of an account in a system: its own, or the higher one that the plan's people have with its e-mail.

    Parameters
    ----------
    people
        E-mail address and role of each.
    """
    role = account.role
    for email, given in people:
        if is_of(account, email):
            role = higher(role, given)
    return role


def is_of(account: Account, email: str | None) -> bool:
    """Whether an address is an account's."""
    return email is not None and account.email is not None and email.casefold() == account.email.casefold()


# ----------------------------------------------------------------------------------------------------------------------


def _begin_attempt(connection: Connection, keys: list[str], now: datetime) -> dict[str, datetime]:
    """Count an attempt as a wrong one; when the one before it was.

    Raises `TooManyAttempts` where it comes too early.
    """
    connection.execute(delete(attempts).where(attempts.c.at <= now - _FORGOTTEN))
    rows = connection.execute(select(attempts).where(attempts.c.key.in_(keys)).with_for_update())
    before = {row.key: row for row in rows}
    waits = [
        before[key].at + min(timedelta(seconds=2.0 ** min(before[key].times - free, 20)), _LONGEST_WAIT) - now
        for key, free in zip(keys, _FREE, strict=True)
        if key in before and before[key].times >= free
    ]
    if waits and max(waits) > timedelta(0):
        raise TooManyAttempts(max(waits))
    for key in keys:
        if key in before:
            again = {"times": before[key].times + 1, "at": now}
            connection.execute(update(attempts).where(attempts.c.key == key).values(**again))
        else:
            connection.execute(insert(attempts).values(key=key, times=1, at=now))
    return {key: row.at for key, row in before.items()}


def _end_attempt(connection: Connection, keys: list[str], last: dict[str, datetime]) -> None:
    """Take back an attempt that was right; of this name from this address also the wrong ones before it."""
    connection.execute(delete(attempts).where(attempts.c.key == keys[0]))
    for key in keys[1:]:
        one = attempts.c.key == key
        taken_back = {"times": attempts.c.times - 1, **({"at": last[key]} if key in last else {})}
        connection.execute(update(attempts).where(one).values(**taken_back))
        connection.execute(delete(attempts).where(one, attempts.c.times <= 0))


def _check_role(role: str) -> str:
    if role not in ROLES:
        raise BadInput(f"A role is one of {', '.join(ROLES)}; found {role!r}. {nearest(role, ROLES)}".rstrip())
    return role


def _check_not_last(connection: Connection, account: Account) -> None:
    able = accounts.c.role == "admin", accounts.c.closed.is_(None), accounts.c.hash.is_not(None)
    others = *able, accounts.c.name != account.name
    left = connection.execute(select(func.count()).select_from(accounts).where(*others)).scalar()
    if account.role == "admin" and not left:
        raise BadInput(f"{account.name!r} is the last who may administer; make another one first.")


def _address(connection: Connection, email: str | None, name: str) -> str | None:
    if not email:
        return None
    if not re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,189}", email):
        raise BadInput(f"An e-mail address has one @ and no spaces; found {email[:80]!r}.")
    same = func.lower(accounts.c.email) == email.lower(), accounts.c.name != name
    other = connection.execute(select(accounts.c.name).where(*same)).scalar()
    if other is not None:
        raise BadInput(f"The account {other!r} has the address {email!r} already.")
    return email


def _check_password(password: str, name: str) -> None:
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise BadInput(f"A password has {_SHORTEST} to {_LONGEST} characters; found {len(password)}.")
    if len(set(password)) < 4 or (name and password.casefold().strip() == name.casefold()):
        raise BadInput("A password that is a name, or of hardly any different characters, is guessed first.")


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe(16))


def _verify(hashed: str, password: str) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError

    if len(password) > _LONGEST:
        return False
    try:
        with _AT_ONCE:
            return _hasher().verify(hashed, password)
    except (Argon2Error, InvalidHashError):
        return False


def _digest(secret: str) -> str:
    # A secret of 256 random bits needs no salt and no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(*of: str) -> str:
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()


def _account(row: Row[Any]) -> Account:
    return Account(row.name, row.role, row.email, row.hash is not None, row.since, row.closed)
