"""T18: a declared URL leads where it says. No redirect is followed, no name leads to a metadata service."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from adapters import http
from adapters.http import dialing
from hub.contract import Ground, Handover, Known, Parcel

PARCEL = Parcel("d1", "a.edi", b"UNB+UNOA:3+A+B+260101:0101+1'UNZ+0+1'")


@pytest.fixture
def agency() -> Iterator[tuple[int, list[str], dict[str, str]]]:
    """A server that answers with `answer`; its port, what it was asked for, and that answer."""
    asked: list[str] = []
    answer = {"status": "200", "location": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(f"POST {self.path}")
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(int(answer["status"]))
            if answer["location"]:
                self.send_header("Location", answer["location"])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            asked.append(f"GET {self.path}")
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port, asked, answer
    server.shutdown()
    thread.join()
    server.server_close()


def posted(tmp_path: Path, url: str) -> Handover:
    with closing(http.outlet("e", http.Options(url=url, timeout=5), Ground(tmp_path, tmp_path))) as outlet:
        [told] = outlet.send([PARCEL])
    return told


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(tmp_path: Path, agency: tuple[int, list[str], dict[str, str]], status: int) -> None:
    port, asked, answer = agency
    answer |= {"status": str(status), "location": f"http://127.0.0.1:{port}/elsewhere"}
    told = posted(tmp_path, f"http://127.0.0.1:{port}/here")
    assert asked == ["POST /here"]
    assert told.known is (Known.NOT_DONE if status > 303 else Known.UNKNOWN)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "::"]
)
def test_no_name_leads_to_a_metadata_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Whatever the partner's name server says: the second answer counts as little as the first."""
    told = [(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: told)
    dialled: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda address, *_, **__: dialled.append(address))
    result = posted(tmp_path, "http://agency.example/")
    assert result.known is Known.NOT_DONE and "no partner's" in result.evidence
    assert dialled == []


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"])
def test_no_spelling_leads_there_either(tmp_path: Path, host: str) -> None:
    result = posted(tmp_path, f"http://{host}/")
    assert result.known is Known.NOT_DONE


def test_what_was_looked_at_is_what_is_dialled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agency: tuple[int, list[str], dict[str, str]]
) -> None:
    port, asked, _ = agency
    answers = iter(["127.0.0.1", "169.254.169.254", "169.254.169.254"])
    real = socket.getaddrinfo

    def rebinding(host: Any, *rest: Any, **named: Any) -> Any:
        return real(next(answers) if host == "agency.example" else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert posted(tmp_path, f"http://agency.example:{port}/x").known is Known.DONE
    assert asked == ["POST /x"]


def test_an_address_that_is_declared_is_meant(tmp_path: Path) -> None:
    assert dialing.forbidden("169.254.169.254") and not dialing.forbidden("10.0.0.1")
    with pytest.MonkeyPatch.context() as patch:
        dialled: list[Any] = []

        def refuse(address: Any, *_: Any, **__: Any) -> None:
            dialled.append(address)
            raise ConnectionRefusedError("refused")

        patch.setattr(socket, "create_connection", refuse)
        assert posted(tmp_path, "http://169.254.169.254/").known is Known.NOT_DONE
    assert dialled == [("169.254.169.254", 80)]
