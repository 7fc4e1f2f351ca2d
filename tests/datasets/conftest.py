"""A web server on this machine, and a cache that is thrown away."""

import hashlib
import http.server
import threading

import pytest

from lstmbook.datasets import registry


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("LSTMBOOK_DATA", str(folder))
    return folder


class Server(http.server.ThreadingHTTPServer):
    """Answers with what `pages` holds: {path: bytes or a function(handler)}."""

    daemon_threads = True

    def __init__(self):
        self.pages = {}
        self.asked = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
        elif callable(page):
            page(self)
        else:
            self.answer(page)

    def answer(self, body, length=None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def register(monkeypatch):
    """Put a data set of one file into the registry, for one test."""

    def register(name, file, content, source):
        entry = registry.File(
            file, len(content), hashlib.sha256(content).hexdigest(), source
        )
        dataset = registry.Dataset("a test", "nobody", "none", "nowhere", (entry,))
        monkeypatch.setitem(registry.DATASETS, name, dataset)
        return entry

    return register
