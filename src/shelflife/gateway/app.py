"""The application: one function that answers HTTP, without a framework between a request and its model."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import orjson

from shelflife import __version__
from shelflife.clock import Clock, SystemClock
from shelflife.errors import BadInput
from shelflife.gateway import asked as asking
from shelflife.gateway import bulk, http, tensors
from shelflife.gateway.access import Guard
from shelflife.gateway.asked import Asked, Columns
from shelflife.gateway.dying import Dead
from shelflife.gateway.following import FALLBACK, Following, Serving
from shelflife.gateway.http import Refused
from shelflife.gateway.journal import Journal
from shelflife.gateway.last import NAME as LAST
from shelflife.gateway.metrics import METRICS, Metrics
from shelflife.gateway.serving import Failed, Loaded, Waiting
from shelflife.routes import DIRECT
from shelflife.workspace import Settings

MOST_WAITING = 2_000  # rows that may wait for one model; a larger request is taken where nothing waits
_SHADOWS = 1_000  # rows that may wait for a shadow
_LATE = 1.0  # seconds
_DATATYPES = {"numeric": "FP64", "boolean": "BOOL", "vector": "FP64"}
_log = logging.getLogger("shelflife.gateway")


class Gateway:
    """The ASGI application of one worker.

    Parameters
    ----------
    settings
        Where the workspace is.
    guarded
        Whether requests need a token.
    most_waiting
        How many rows may wait for a model before requests are told to come again.
    most_bytes
        How much of the log may wait likewise.
    marks, died
        Where it is marked which model is at work, and by which ones workers before this one died.
    """

    def __init__(
        self, settings: Settings, *, guarded: bool = False, most_waiting: int = MOST_WAITING,
        most_bytes: int | None = None, clock: Clock | None = None, marks: Path | None = None, died: Sequence[Dead] = (),
    ) -> None:  # fmt: skip
        self._settings, self._clock = settings, clock or SystemClock()
        self._guarded, self._most = guarded, most_waiting
        self._marks, self._died = marks, died
        self._options = {} if most_bytes is None else {"most_bytes": most_bytes}
        self._metrics = Metrics()
        self._guard: Guard | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(self._settings.served_folder, **self._options)
        self._journal.start()
        self._following = Following(
            self._settings.database_url, self._settings.artifacts_folder, self._settings.served_folder / LAST,
            self._journal, self._clock, self._metrics, delivered=self._delivered, handed=self._handed,
            guarded=self._guarded, marks=self._marks, died=self._died,
        )  # fmt: skip
        if self._guarded:
            self._guard = Guard(self._following, self._clock)
        self._following.start()
        # Others answer at the same socket meanwhile; one that had no model yet would turn away what they can answer.
        await self._loop.run_in_executor(None, self._following.looked.wait)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._loop.run_in_executor(None, self._following.stop)
        await self._loop.run_in_executor(None, self._journal.close)
        await send({"type": "lifespan.shutdown.complete"})

    # ---- between the models' threads and ours ------------------------------------------------------------------------

    def _handed(self, what: Any) -> None:
        self._loop.call_soon_threadsafe(what)

    def _delivered(self, group: list[Waiting]) -> None:
        self._loop.call_soon_threadsafe(self._deliver, group)

    @staticmethod
    def _deliver(group: list[Waiting]) -> None:
        for one in group:
            one.done(one)

    def _put(self, loaded: Loaded, asked: Asked, columns: Any, route: str, revision: int) -> asyncio.Future[Waiting]:
        """Hand a request to a model; raises `Refused` where too much waits for it."""
        rows = len(asked.ids)
        if loaded.waiting and loaded.waiting + rows > self._most:
            says = f"{loaded.waiting:,} rows wait for version {loaded.version} of {loaded.system}; come again."
            raise Refused(503, "busy", says, (b"retry-after", b"1"))
        future: asyncio.Future[Waiting] = self._loop.create_future()

        def done(one: Waiting) -> None:
            loaded.waiting -= rows
            if not future.done():
                future.set_result(one)

        loaded.waiting += rows
        loaded.put(Waiting(asked, columns, route, revision, time.perf_counter(), done))
        return future

    def _shadow(self, serving: Serving, asked: Asked, kinds: Mapping[str, str], columns: Any) -> None:
        """Ask the shadow as well, if it is not too far behind; nobody waits for it, and nothing of it is told."""
        shadow, rows = serving.shadow, len(asked.ids)
        if shadow is None or shadow.broken is not None:
            return
        if shadow.waiting and shadow.waiting + rows > _SHADOWS:
            self._metrics.shadow(shadow.system, shadow.version, "dropped", rows)
            return
        if shadow.model.kinds != kinds:
            try:
                columns = asked.columns(shadow.model.kinds)
            except BadInput:
                self._metrics.shadow(shadow.system, shadow.version, "failed", rows)
                return

        def done(one: Waiting) -> None:
            shadow.waiting -= rows
            self._metrics.shadow(
                shadow.system, shadow.version, "answered" if one.failed is None else "failed", rows
            )  # fmt: skip

        shadow.waiting += rows
        shadow.put(Waiting(asked, columns, "shadow", serving.routes.revision, time.perf_counter(), done))

    # ---- requests ----------------------------------------------------------------------------------------------------

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        begun = time.perf_counter()
        trace, headers = http.traced(scope)
        path = [unquote(part) for part in scope["raw_path"].decode("latin-1").split("?")[0].strip("/").split("/")]
        who = ["", "", ""]  # system, version and route, for the figures
        status = 500
        try:
            said, own, kind = await self._answer(scope, receive, path, who)
            status = 200
            await http.answer(send, 200, said, *own, *headers, kind=kind)
        except (Refused, BadInput) as error:
            refused = error if isinstance(error, Refused) else Refused(400, "bad_input", str(error))
            status = refused.status
            await http.answer(send, status, http.told(refused, path[0] == "v2"), *refused.headers, *headers)
        except Exception:  # noqa: BLE001 - whoever asked is told at least that
            _log.exception("a request cannot be answered")
            said = http.told(Refused(500, "error", "This is a mistake of ours; please report it."), path[0] == "v2")
            await http.answer(send, 500, said, *headers)
        finally:
            took = time.perf_counter() - begun
            if who[2]:
                self._metrics.request(who[0], who[1], who[2], status, took)
            level = logging.INFO if status >= 400 or took > _LATE else logging.DEBUG
            if _log.isEnabledFor(level):
                _log.log(level, "answered", extra={
                    "path": scope["path"][:200], "status": status, "seconds": round(took, 4), "trace": trace,
                    "version": who[1], "route": who[2],
                })  # fmt: skip

    async def _answer(self, scope: Any, receive: Any, path: list[str], who: list[str]) -> tuple[bytes, Any, bytes]:
        """The body of an answer, its headers, and of what kind it is."""
        method = scope["method"]
        if path[0] == "predict" and len(path) == 2:
            _only(method, "POST")
            return orjson.dumps(await self._predict(scope, receive, path[1], who)), (), http.JSON
        if path[0] == "v2":
            if path[-1] == "infer" and path[1:2] == ["models"] and len(path) in (4, 6):
                _only(method, "POST")
                version = path[4] if len(path) == 6 and path[3] == "versions" else None
                if len(path) == 6 and version is None:
                    raise _nowhere()
                return await self._infer(scope, receive, path[2], version, who)
            _only(method, "GET")
            return orjson.dumps(self._described(path[1:])), (), http.JSON
        if path == ["metrics"]:
            _only(method, "GET")
            return await self._loop.run_in_executor(None, self._metrics.text), (), METRICS
        raise _nowhere()

    async def _admit(self, scope: Any, system: str) -> Serving:
        """Who answers for a system; raises `Refused` where nobody does, or for this one."""
        if self._guard is not None:
            allowed = await self._guard.allows(http.header(scope, b"authorization") or b"", system)
            if not allowed:
                says = f"Asking about {system[:100]} needs a token that may `observe` it: Authorization: Bearer TOKEN."
                raise Refused(401, "no_token", says, (b"www-authenticate", b"Bearer"))
        if self._journal.full:
            says = "The log of answers is full, or cannot be written; nothing is answered until it can. Come again."
            raise Refused(503, "log_full", says, (b"retry-after", b"5"))
        return self._serving(system)

    def _serving(self, system: str) -> Serving:
        found = self._following.serving.get(system)
        if found is None and self._following.seen is None:
            raise Refused(503, "not_ready", "The routes could not be read yet. Come again.", (b"retry-after", b"1"))
        if found is None and (refused := self._following.refused_champion(system)) is not None:
            says = f"Version {refused} of {system} is to answer and was refused: the ledger says why."
            raise Refused(503, "refused", f"{says} Nothing else answers.", (b"retry-after", b"30"))
        if found is None:
            known = ", ".join(sorted(self._following.serving)) or "none yet"
            raise Refused(404, "unknown_system", f"There is no model {system[:100]!r} here; there is: {known}.")
        return found

    async def _answered(self, system: str, asked: Asked, version: str | None, who: list[str]) -> tuple[Waiting, Loaded]:
        """The answer of whoever the routes choose, or of a version that was asked for."""
        serving = self._serving(system)
        route, loaded = serving.choose(asked.key) if version is None else (DIRECT, _of_version(serving, version))
        who[:] = system, str(loaded.version), route
        kinds = loaded.model.kinds
        columns = asked.columns(kinds)
        answering = self._put(loaded, asked, columns, route, serving.routes.revision)
        if version is None:
            self._shadow(serving, asked, kinds, columns)
        found = await answering
        if isinstance(found.failed, Failed) and route == "canary":
            return await self._instead(system, asked, loaded, found.failed, who)
        return self._given(found, loaded)

    async def _instead(
        self, system: str, asked: Asked, canary: Loaded, failed: Failed, who: list[str]
    ) -> tuple[Waiting, Loaded]:
        """The champion's answer where the canary has none; what only the canary cannot answer is its own fault."""
        serving = self._serving(system)
        champion = serving.champion
        who[:] = system, str(champion.version), FALLBACK
        columns = asked.columns(champion.model.kinds)
        given = self._given(await self._put(champion, asked, columns, FALLBACK, serving.routes.revision), champion)
        if canary.broken is None:
            canary.broken = str(failed)
            _log.error("version %s of %s answers no more: %s", canary.version, system, failed)
        return given

    @staticmethod
    def _given(found: Waiting, loaded: Loaded) -> tuple[Waiting, Loaded]:
        if found.failed is None:
            return found, loaded
        if isinstance(found.failed, Failed):
            says = f"Version {loaded.version} of {loaded.system} cannot answer this: {found.failed}"
            raise Refused(503, "model_failed", says)
        says = "The log of answers cannot be written, and what is not logged is not answered. Come again."
        raise Refused(503, "log_full", says, (b"retry-after", b"5"))

    # ---- named inputs ------------------------------------------------------------------------------------------------

    async def _predict(self, scope: Any, receive: Any, system: str, who: list[str]) -> dict[str, Any]:
        serving = await self._admit(scope, system)
        body = await http.body(scope, receive)
        kinds = serving.champion.model.kinds
        bulky = bulk.read(body, kinds) if len(body) >= bulk.LARGE else None
        if bulky is None:
            rows, names, single = _named(_object(body), kinds)
            columns, count = functools.partial(asking.of_rows, rows), len(rows)
        else:
            (read, names), single = bulky, False
            columns, count = functools.partial(_read, body, kinds, read), len(next(iter(read.values())))
        asked = asking.named(
            columns, count, id=names.get("id"), ids=names.get("ids"), key=names.get("key"), time=names.get("time"),
            now=self._clock.now(),
        )  # fmt: skip
        found, loaded = await self._answered(system, asked, None, who)
        assert found.answers is not None
        given = [
            {"id": one, "prediction": said, "score": score}
            for one, said, score in zip(asked.ids, found.answers.predictions.tolist(), found.scores, strict=True)
        ]
        told = {"version": loaded.version, "route": found.route, "revision": found.revision}
        return {**given[0], **told} if single else {"rows": given, **told}

    # ---- the Open Inference Protocol ---------------------------------------------------------------------------------

    async def _infer(
        self, scope: Any, receive: Any, system: str, version: str | None, who: list[str]
    ) -> tuple[bytes, Any, bytes]:
        await self._admit(scope, system)
        body = await http.body(scope, receive)
        length = http.header(scope, b"inference-header-content-length")
        said = tensors.read(body, None if length is None else length.decode("latin-1"))
        names = {**said.parameters}
        if isinstance(names.get("ids"), str):  # a parameter is a text for most clients
            names["ids"] = _list(names["ids"])
        asked = asking.named(
            lambda kinds: asking.of_tensors(said.tensors, kinds), said.tensors[0].shape[0], id=said.id or None,
            ids=names.get("ids"), key=names.get("key"), time=names.get("time"), now=self._clock.now(),
        )  # fmt: skip
        found, loaded = await self._answered(system, asked, version, who)
        head: dict[str, Any] = {"model_name": system, "model_version": str(loaded.version)}
        if said.id is not None:
            head["id"] = said.id
        head["parameters"] = {"route": found.route, "revision": found.revision}
        if not said.id and names.get("ids") is None:
            head["parameters"]["ids"] = orjson.dumps(asked.ids).decode() if len(asked.ids) > 1 else asked.ids[0]
        told, json = tensors.written(head, _outputs(found, loaded), said)
        if json is None:
            return told, (), http.JSON
        return told, ((b"inference-header-content-length", b"%d" % json),), http.BINARY

    def _described(self, path: list[str]) -> dict[str, Any]:
        """What the protocol tells of the server and of models."""
        if path == []:
            return {"name": "shelflife", "version": __version__, "extensions": ["binary_tensor_data"]}
        if path == ["health", "live"]:
            return {"live": True}
        if path == ["health", "ready"]:
            if not self._following.ready:
                raise Refused(503, "not_ready", "No model can answer yet.")
            disk = self._following.disk
            return {"ready": True} if disk is None else {"ready": True, "from_disk": asdict(disk)}
        ready = path[-1] == "ready"
        place = path[:-1] if ready else path
        if place[:1] != ["models"] or len(place) not in (2, 4) or (len(place) == 4 and place[2] != "versions"):
            raise _nowhere()
        serving = self._serving(place[1])
        loaded = _of_version(serving, place[3]) if len(place) == 4 else serving.champion
        if not ready:
            return _metadata(serving, loaded)
        if loaded.unready is not None:
            raise Refused(503, "not_ready", f"Version {loaded.version} answers no more; the log says why.")
        return {"name": place[1], "ready": True}


def _only(method: str, allowed: str) -> None:
    if method != allowed:
        raise Refused(405, "not_allowed", f"This asks for {allowed}; found {method}.", (b"allow", allowed.encode()))


def _nowhere() -> Refused:
    says = "There is nothing here. Models answer at /predict/SYSTEM and at /v2/models/SYSTEM/infer."
    return Refused(404, "not_found", says)


def _of_version(serving: Serving, version: str) -> Loaded:
    for one in serving.loaded():
        if str(one.version) == version:
            return one
    there = ", ".join(str(one.version) for one in serving.loaded())
    system = serving.routes.system
    raise Refused(404, "unknown_version", f"Version {version[:40]!r} of {system} is not served; there is: {there}.")


def _read(body: bytes, kinds: Mapping[str, str], read: Columns, wanted: Mapping[str, str]) -> Columns:
    """What was read as the champion has it, or once more for a version that has its inputs otherwise."""
    return read if wanted == kinds else asking.of_rows(_object(body)["rows"], wanted)


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"The body is no JSON: {error}.") from error
    if not isinstance(said, dict):
        raise BadInput("The body is to be an object: inputs by their names, or `rows` with a list of such.")
    return said


def _list(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput("`ids` is to be a list, or its JSON.") from error


def _named(said: dict[str, Any], kinds: Mapping[str, str]) -> tuple[list[Any], dict[str, Any], bool]:
    """The rows of a body, what it says beside them, and whether it is a single one."""
    for word, single in (("rows", False), ("inputs", True)):
        if word in said and word not in kinds:
            unknown = [name for name in said if name != word and name not in asking.OURS]
            if unknown:
                raise BadInput(f"Beside `{word}` there may be {', '.join(asking.OURS)}; found {unknown[0][:100]!r}.")
            given = [said[word]] if single else said[word]
            if not isinstance(given, list):
                raise BadInput("`rows` is to be a list of objects, each with the inputs of one row.")
            names = {name: said[name] for name in asking.OURS if name in said}
            return given, names, single
    names = {name: said[name] for name in asking.OURS if name in said and name not in kinds}
    row = {name: value for name, value in said.items() if name not in names} if names else said
    return [row], names, True


def _outputs(found: Waiting, loaded: Loaded) -> list[tuple[str, str, Any]]:
    """What a model answered, as tensors: what it predicts, and its scores by the plan's names."""
    assert found.answers is not None
    model = loaded.plan.model
    number = model.task == "regression"
    outputs: list[tuple[str, str, Any]] = [
        (model.prediction, "FP64" if number else "BYTES", found.answers.predictions.tolist())
    ]
    if found.answers.scores is None:
        return outputs
    if len(model.score) == 1:
        return [*outputs, (next(iter(model.score)), "FP64", found.scores)]
    return [
        *outputs,
        *((name, "FP64", [np.nan if one[name] is None else one[name] for one in found.scores]) for name in model.score),
    ]


def _metadata(serving: Serving, loaded: Loaded) -> dict[str, Any]:
    model = loaded.plan.model
    outputs = [{"name": model.prediction, "datatype": "FP64" if model.task == "regression" else "BYTES", "shape": [-1]}]
    outputs += [{"name": name, "datatype": "FP64", "shape": [-1]} for name in model.score]
    return {
        "name": serving.routes.system,
        "versions": sorted((str(one.version) for one in serving.loaded()), key=int),
        "platform": "shelflife",
        "inputs": [
            {"name": name, "datatype": _DATATYPES.get(kind, "BYTES"), "shape": [-1, -1] if kind == "vector" else [-1]}
            for name, kind in loaded.model.kinds.items()
        ],
        "outputs": outputs,
    }
