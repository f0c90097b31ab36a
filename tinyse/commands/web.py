"""`tinyse web`: the model in a browser, on its microphone or on a file."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import typer

from tinyse.errors import InputError
from tinyse.released import DEFAULT

CARDS = ("card.md", "CARD.md", "README.md")
"""What a model's card is called, in the folder of a model that tinyse comes with."""


def web(
    model: Annotated[
        str | None, typer.Option(help=f"An int8 .tflite or a name; by default {DEFAULT}, which comes with tinyse.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the page to this folder, for any web server, and exit.")
    ] = None,
    port: Annotated[int, typer.Option(help="Where to serve it on this machine; 0 takes a free one.")] = 8016,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> None:
    """Serve a page that runs MODEL's firmware as WebAssembly: nothing leaves this machine, and it works offline."""
    from firmware_export.web import export_page
    from tinyse.released import find
    from tinyse.tflite import reader

    path = find(model)
    metadata = reader.read(path).metadata
    name = metadata.get("model", path.stem)
    with ExitStack() as stack:
        folder = output or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyse-web-")))
        size = export_page(path, folder, _card(path, metadata), name)
        print(f"{name}: {size / 1000:.0f} kB of WebAssembly", file=sys.stderr)
        if output is None:
            _serve(folder, port, browser)
        else:
            print(
                f"{output}: static files for any web server; a browser gives pages its microphone on https or localhost"
            )


TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
"""What the page is made of, by the ending."""
NAMES = ("localhost", "127.0.0.1")
"""What a browser may call this machine. Another name that leads here is an attack (DNS rebinding)."""


class _Handler(BaseHTTPRequestHandler):
    """The page's own files from memory, and nothing else: no path of a request ever meets the disk."""

    page: Mapping[str, bytes]
    """Content by path."""
    timeout = 60

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def _answer(self, with_content: bool) -> None:
        if self.headers.get("Host", "").partition(":")[0] not in NAMES:
            self.send_error(403, f"this page is served to {NAMES[0]} only")
            return
        path = self.path.partition("?")[0]
        path = "/index.html" if path == "/" else path
        if path not in self.page:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", TYPES[Path(path).suffix])
        self.send_header("Content-Length", str(len(self.page[path])))
        self.end_headers()
        if with_content:
            self.wfile.write(self.page[path])

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # another model may be served here the next time
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def log_message(self, format: str, *values: Any) -> None:
        pass


def _serve(folder: Path, port: int, browser: bool) -> None:
    import webbrowser

    class Page(_Handler):
        page = {f"/{path.name}": path.read_bytes() for path in folder.iterdir() if path.suffix in TYPES}  # noqa: RUF012

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Page)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot serve at port {port}: {reason}; choose another with --port") from error
    with server:
        address = f"http://localhost:{server.server_port}/"
        print(f"{address} (Ctrl-C ends it)", flush=True)
        if browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _card(path: Path, metadata: dict[str, Any]) -> str:
    """The card of a model that comes with tinyse; of another, what its file says. Both are Markdown."""
    from tinyse.released import FOLDER

    if FOLDER in path.resolve().parents:
        for name in CARDS:
            if (path.parent / name).is_file():
                return (path.parent / name).read_text(encoding="utf-8")
    return f"```json\n{json.dumps(metadata, indent=2)}\n```\n"
