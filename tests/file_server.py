"""A server of files on the loopback that can be made to fail: connections that break, errors, files that change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """Files by name, what was asked for, and what goes wrong with the next answers."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    breaks_after: list[int] = field(default_factory=list)
    """Bytes of the next answers that come before the connection breaks."""
    errors: list[int] = field(default_factory=list)
    """Status of the next answers in place of a file."""

    def requests_for(self, name: str) -> list[str]:
        """The ranges that were asked of a file, empty where all of it was."""
        return [wanted for path, wanted in self.asked if path == f"/{name}"]


@contextmanager
def serving() -> Iterator[Server]:
    """A server that ends with the block."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append((self.path, wanted))
            content = state.files.get(self.path.lstrip("/"))
            if state.errors or content is None:
                self.send_error(state.errors.pop(0) if state.errors else 404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-") or 0) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            part = content[start:]
            if state.breaks_after:
                part = part[: state.breaks_after.pop(0)]
            self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
