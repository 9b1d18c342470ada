"""The app: an address to a view, a view to a page or a file. Everything else is in the modules of the views."""

from __future__ import annotations

import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.inspector.downloads import FORMATS
from pipeline.inspector.labelling import label_of_form
from pipeline.inspector.page import Inspected, MakeView, View
from pipeline.inspector.security import Guard, Respond
from stages.errors import TamisError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

STATIC = Path(__file__).with_name("static")
TEMPLATES = Path(__file__).with_name("templates")
SHARED = Path(__file__).parents[1] / "report" / "templates"
FILES = {
    "inspector.js": (STATIC, "text/javascript"),
    "inspector.css": (STATIC, "text/css"),
    "ridges.css": (SHARED, "text/css"),
}
"""What the app serves besides views: these and nothing else."""
PAGES = {
    "overview": "Overview",
    "stage": "Stages",
    "whatif": "What if",
    "samples": "Samples",
    "duplicates": "Duplicates",
    "semantic": "Semantic",
    "compare": "Compare",
    "speed": "Speed",
    "config": "Config",
}
"""Every page has a module of its name with a function `view`."""
EMPTY = {
    "compare": "There is one run. Two are held side by side by: tamis inspect RUN RUN2",
    "duplicates": "The run has no stage that finds duplicates, as exact or minhash do.",
    "semantic": "The run has no stage semantic, which finds documents that say the same in other words.",
}
"""What is said of a page that a run has nothing for."""


def make_app(inspected: Inspected, host: str = "127.0.0.1", token: str | None = None) -> Starlette:
    """The inspector of a run, listening on `host`; with a token, for those who know it."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.routing import Route

    guard = Guard(host, token)

    async def dispatch(request: Request, respond: Respond) -> Response:
        async def answer(request: Request) -> Response:
            try:
                return await respond(request)
            except Exception as error:
                return _broken(request, error)

        return await guard(request, answer)

    app = Starlette(
        routes=[
            Route("/", _page),
            Route("/static/{name}", _static),
            Route("/samples/label", _label, methods=["POST"]),
            Route("/{page}", _page),
            Route("/{page}/{table}.{ending}", _download),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)],
        exception_handlers={404: _lost, TamisError: _refused},
    )
    app.state.inspected = inspected
    return app


def pages_of(inspected: Inspected) -> dict[str, str]:
    """The pages that a run has something for, and their names."""
    return {page: name for page, name in PAGES.items() if inspected.has(page)}


def _static(request: Request) -> Response:
    from starlette.exceptions import HTTPException
    from starlette.responses import Response

    name = request.path_params["name"]
    if name not in FILES:
        raise HTTPException(404)
    folder, media_type = FILES[name]
    return Response((folder / name).read_bytes(), media_type=media_type)


def _page(request: Request) -> Response:
    from starlette.responses import HTMLResponse

    view = _view(request)
    return HTMLResponse(_render(request, view.template, title=view.title, tables=view.tables, **view.context))


def _download(request: Request) -> Response:
    from starlette.exceptions import HTTPException
    from starlette.responses import Response

    table, ending = request.path_params["table"], request.path_params["ending"]
    if ending not in FORMATS:
        raise HTTPException(404)
    tables = _view(request).tables
    if table not in tables:
        raise HTTPException(404)
    media_type, write = FORMATS[ending]
    name = f"{request.path_params['page']}-{table}.{ending}"
    disposition = {} if ending == "json" else {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(write(tables[table]), media_type=media_type, headers=disposition)


async def _label(request: Request) -> Response:
    """What somebody said of a sample, then the page that it was said on."""
    from urllib.parse import parse_qs

    from starlette.concurrency import run_in_threadpool
    from starlette.responses import RedirectResponse

    body = (await request.body()).decode("utf-8", "replace")
    form = {name: values[-1] for name, values in parse_qs(body).items()}
    inspected: Inspected = request.app.state.inspected
    address = await run_in_threadpool(label_of_form, inspected, form)
    return RedirectResponse(f"/samples?{form.get('back', '')}#a{address}", status_code=303)


def _view(request: Request) -> View:
    from starlette.exceptions import HTTPException

    inspected: Inspected = request.app.state.inspected
    page = request.path_params.get("page", "overview")
    if page not in pages_of(inspected):
        raise HTTPException(404)
    make: MakeView = import_module(f"pipeline.inspector.{page}").view
    return inspected.view(make, tuple(request.query_params.multi_items()))


def _render(request: Request, template: str, **context: Any) -> str:
    from pipeline.report.page import environment

    inspected: Inspected = request.app.state.inspected
    page = request.path_params.get("page", "overview")
    return (
        environment(TEMPLATES)
        .get_template(template)
        .render(inspected=inspected, pages=pages_of(inspected), page=page, query=request.url.query, **context)
    )


def _message(request: Request, status: int, title: str, message: str) -> Response:
    from starlette.responses import HTMLResponse

    return HTMLResponse(_render(request, "message.html", title=title, message=message), status_code=status)


def _lost(request: Request, error: Exception) -> Response:
    page = request.url.path.strip("/")
    if page in EMPTY:
        return _message(request, 404, f"{PAGES[page]}: nothing to show", EMPTY[page])
    known = ", ".join(f"/{page}" for page in pages_of(request.app.state.inspected))
    return _message(request, 404, "There is no such page", f"{request.url.path} is not one. There is: {known}")


def _refused(request: Request, error: Exception) -> Response:
    return _message(request, 400, "That cannot be shown", str(error))


def _broken(request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return _message(request, 500, "The inspector failed", f"{type(error).__name__}; the terminal says more.")
