"""The listening test in a browser: the page, and the server that answers its requests.

Nothing that the browser receives reveals the condition: sounds are named by the numbers of the
listener's trials, and all of them are equally loud.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from timbrel.errors import InputError
from timbrel.evaluation.listening.clips import equally_loud, read_clips, sound_path
from timbrel.evaluation.listening.store import DATABASE_FILE, RATINGS, Store, draw_trials
from timbrel.files import read_text

PAGE_FILE = Path(__file__).parent / "page.html"
DEFAULT_ITEMS = 4
DEFAULT_PORT = 8760
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; media-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_CACHED_SOUNDS = 256


def make_app(
    report: str | os.PathLike,
    *,
    conditions: Sequence[str] = (),
    n_items: int = DEFAULT_ITEMS,
) -> Starlette:
    """The test's web application.

    Parameters
    ----------
    report
        A folder that `timbrel evaluate` wrote; the ratings go there, too.
    conditions
        To compare; all of the report's where there are none.
    n_items
        How many items a listener hears, each in every condition.

    Raises
    ------
    InputError
        If it is no report, or a condition is not known.
    """
    report = Path(report)
    clips = read_clips(report, conditions)
    if n_items < 1:
        raise InputError(f"{n_items} items are not possible; 1 or more are")
    store = Store(report / DATABASE_FILE)
    page = read_text(PAGE_FILE)
    sound = lru_cache(maxsize=_CACHED_SOUNDS)(equally_loud)

    def state(token: str) -> JSONResponse:
        found = store.progress(token)
        if found is None:
            raise HTTPException(404, "this listener is not known")
        n_trials, rated = found
        return JSONResponse({"listener": token, "trials": n_trials, "ratings": rated})

    async def index(_: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    async def new_listener(_: Request) -> Response:
        return await run_in_threadpool(
            lambda: state(store.add_listener(draw_trials(clips, n_items)))
        )

    async def listener(request: Request) -> Response:
        return await run_in_threadpool(state, request.path_params["token"])

    async def trial_sound(request: Request) -> Response:
        def read() -> bytes:
            trial = store.trial(request.path_params["token"], request.path_params["position"])
            if trial is None:
                raise HTTPException(404, "there is no such trial")
            try:
                return sound(sound_path(report, trial))
            except InputError:
                raise HTTPException(404, "the clip is gone") from None

        return Response(await run_in_threadpool(read), media_type="audio/flac")

    async def rate(request: Request) -> Response:
        try:
            rating = float((await request.json())["rating"])
        except (ValueError, KeyError, TypeError):
            raise HTTPException(400, "the rating is missing, or is no number") from None
        token, position = request.path_params["token"], request.path_params["position"]
        try:
            await run_in_threadpool(store.rate, token, position, rating)
        except InputError as error:
            raise HTTPException(400, str(error)) from None
        return await run_in_threadpool(state, token)

    async def scale(_: Request) -> Response:
        return JSONResponse(RATINGS)

    async def refusal(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, status_code=error.status_code)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/scale", scale),
            Route("/api/listeners", new_listener, methods=["POST"]),
            Route("/api/listeners/{token}", listener),
            Route("/api/listeners/{token}/trials/{position:int}/sound", trial_sound),
            Route("/api/listeners/{token}/trials/{position:int}/rating", rate, methods=["PUT"]),
        ],
        exception_handlers={HTTPException: refusal},
    )


def serve(app: Starlette, listener: socket.socket) -> None:
    """Serve until interrupted, at a socket of `timbrel.sockets.listening_socket`."""
    with listener:
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
