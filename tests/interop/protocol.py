#!/usr/bin/env python3
"""Drives a real credcache with gRPC's C core, and with an HTTP/2 client that
sends what no gRPC client would. Usage: protocol.py PATH-TO-CREDCACHE

Prints `ok - …` or `not ok - …` for each check, then `N passed, M failed`.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from urllib.parse import unquote

import grpc
import h2.config
import h2.connection
import h2.events

SERVICE = "/credcache.v1.CredentialCacheService"
GET, PUT, WATCH = f"{SERVICE}/Get", f"{SERVICE}/Put", f"{SERVICE}/Watch"
CHECK, HEALTH_WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x03"
# In seconds, far longer than any check takes.
NEVER = 30

AUTHORITIES = [
    "%2Ftmp%2Fx.sock",
    "/run/credcache/credcache.sock",
    "outbound|50051||name",
    "extension/ns/x",
    "unix:/run/credcache.sock",
    "user:password@host:50051",
    "[::1]:50051",
    "localhost",
]

passed = failed = 0


def verdict(name, is_ok, seen):
    global passed, failed
    if is_ok:
        passed += 1
        print(f"ok - {name}")
    else:
        failed += 1
        print(f"not ok - {name}: {seen!r}")


# Messages written by hand: a field is a number, with bytes or a number as its value.


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def get(key):
    return field(1, b"interop") + field(2, key)


def put(key, value=b"token"):
    """A Put that lives for a minute."""
    return get(key) + field(3, value) + field(4, field(1, 60))


def framed(message, flag=0):
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


class Server:
    """A server on a free port and on a Unix socket."""

    def __init__(self, binary, directory):
        self.path = os.path.join(directory, "credcache.sock")
        self.log = open(os.path.join(directory, "log"), "w+", encoding="utf-8")
        args = [binary, "serve", "--listen", "127.0.0.1:0", "--listen", f"unix:{self.path}"]
        self.process = subprocess.Popen(
            args, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        watchdog = threading.Timer(NEVER, self.process.kill)
        watchdog.start()
        self.address = self.told().removeprefix("listening on ")
        assert self.told() == f"listening on unix:{self.path}"
        watchdog.cancel()

    def told(self):
        line = self.process.stdout.readline().strip()
        if not line:
            self.log.seek(0)
            sys.exit(f"not ok - the server did not print its addresses: {self.log.read()}")
        return line

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(NEVER)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "killed"


# gRPC's C core with its default options.


def status_of(call, *args, **kwargs):
    """The code and the message of a failed call, or OK and the response."""
    try:
        answer = call(*args, timeout=NEVER, **kwargs)
        return "OK", answer
    except grpc.RpcError as error:
        return error.code().name, error.details()


def first_of(stream):
    """The first message, or the error of the stream."""
    try:
        return next(stream)
    except grpc.RpcError as error:
        return error


def check_stock_client(name, target):
    """No option is set, in particular not the authority."""
    with grpc.insecure_channel(target) as channel:
        key = name.encode()
        code, answer = status_of(channel.unary_unary(PUT), put(key))
        verdict(f"{name}: Put", code == "OK", (code, answer))
        for nth in range(3):
            code, answer = status_of(channel.unary_unary(GET), get(key))
            verdict(f"{name}: Get {nth}", code == "OK" and b"token" in answer, (code, answer))
        code, answer = status_of(channel.unary_unary(CHECK), b"")
        verdict(f"{name}: health", (code, answer) == ("OK", SERVING), (code, answer))
        watch = channel.unary_stream(WATCH)(field(1, b"interop"), timeout=NEVER)
        event = first_of(watch)
        watch.cancel()
        verdict(f"{name}: Watch", isinstance(event, bytes) and event, event)


async def check_stock_async_client(name, target):
    async with grpc.aio.insecure_channel(target) as channel:
        call = channel.unary_unary(GET)
        calls = (call(get(b"many"), timeout=NEVER) for _ in range(100))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        wrong = [answer for answer in answers if isinstance(answer, Exception)]
        verdict(f"{name}: a hundred Gets at once", not wrong, wrong[:1])


def check_refusals_by_stock_client(target):
    def told(name, call, message, code, word, **kwargs):
        seen = status_of(call, message, **kwargs)
        verdict(name, seen[0] == code and word in str(seen[1]), seen)

    with grpc.insecure_channel(target) as channel:
        unary, stream = channel.unary_unary, channel.stream_unary
        told("an unknown method", unary(f"{SERVICE}/No"), b"", "UNIMPLEMENTED", "no such")
        told("an unknown service", unary("/no.such/Get"), b"", "UNIMPLEMENTED", "no such")
        twice = iter([put(b"twice"), put(b"twice")])
        told("two messages", stream(PUT), twice, "UNIMPLEMENTED", "has more")
        told("no message", stream(PUT), iter([]), "UNIMPLEMENTED", "has none")
        gzip = grpc.Compression.Gzip
        large = put(b"gzip", b"v" * 10_000)
        told("gzip", unary(PUT), large, "UNIMPLEMENTED", "identity", compression=gzip)
        told("no protobuf", unary(PUT), b"\xff", "INVALID_ARGUMENT", "message")
        told("a key that isn't UTF-8", unary(PUT), put(b"\xff"), "INVALID_ARGUMENT", "message")
        large = b"v" * (5 << 20)
        told("a message of 5 MiB", unary(PUT), large, "RESOURCE_EXHAUSTED", "larger")
        for kib in (20, 50):
            metadata = [("x-large", "v" * kib * 1024)]
            name = f"{kib} KiB of headers"
            told(name, unary(GET), get(b"k"), "RESOURCE_EXHAUSTED", "16 KiB", metadata=metadata)
        # HTTP/2 itself answers this call; above 96 KiB it ends the connection.
        metadata = [("x-large", "v" * 80 * 1024)]
        told("80 KiB of headers", unary(GET), get(b"k"), "UNKNOWN", "431", metadata=metadata)
        told("the health of an unknown service", unary(CHECK), field(1, b"no"), "NOT_FOUND", "no such")
        watch = channel.unary_stream(HEALTH_WATCH)(field(1, b"no"), timeout=NEVER)
        first = first_of(watch)
        verdict("a watch of an unknown service's health", first == SERVICE_UNKNOWN, first)
        verdict("the watch goes on", watch.is_active(), watch)
        watch.cancel()
        code, answer = status_of(unary(GET), get(b"twice"))
        verdict("a refused credential is not stored", code == "OK" and b"token" not in answer, answer)


# HTTP/2 by hand.


class Wire:
    """A connection that makes one call after the other."""

    def __init__(self, family, address):
        self.socket = socket.socket(family)
        self.socket.settimeout(NEVER)
        self.socket.connect(address)
        config = h2.config.H2Configuration(
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.send()

    def send(self):
        self.socket.sendall(self.h2.data_to_send())

    def call(self, path, body=framed(b""), reset=False, **changes):
        """The response's headers, body and trailers in one, or a reset."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        for name, value in changes.items():
            name = {"method": ":method", "authority": ":authority"}.get(name, name.replace("_", "-"))
            fields[name] = value
        stream = self.h2.get_next_available_stream_id()
        headers = [(name, value) for name, value in fields.items() if value is not None]
        self.h2.send_headers(stream, headers)
        if reset:
            self.h2.send_data(stream, body)
            self.h2.reset_stream(stream, 8)
            self.send()
            return {"reset": "by us"}
        self.h2.send_data(stream, body, end_stream=True)
        self.send()
        return self.answer(stream)

    def answer(self, stream):
        answer = {"data": b""}
        while True:
            data = self.socket.recv(65536)
            if not data:
                return {"reset": "the connection"}
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ConnectionTerminated):
                    return {"reset": f"the connection, with {event.error_code}"}
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    answer.update(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    answer["data"] += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    self.send()
                    return answer
                elif isinstance(event, h2.events.StreamReset):
                    return {"reset": event.error_code}
            self.send()


# The request, and the expected response: a gRPC code and a word of its message, or
# an HTTP status.
CASES = [
    ("a deadline without a unit", PUT, {"grpc_timeout": "1"}, 3, "grpc-timeout"),
    ("a deadline of nine digits", PUT, {"grpc_timeout": "123456789S"}, 3, "grpc-timeout"),
    ("a negative deadline of a Get", GET, {"grpc_timeout": "-1S"}, 3, "grpc-timeout"),
    ("a deadline of nothing", GET, {"grpc_timeout": "0n"}, 4, "deadline"),
    ("the longest deadline", GET, {"grpc_timeout": "99999999H"}, 0, ""),
    ("two messages for a Get", GET, {"body": framed(get(b"k")) * 2}, 12, "has more"),
    ("no message for a Get", GET, {"body": b""}, 12, "has none"),
    ("half a message", PUT, {"body": framed(put(b"k"))[:9]}, 3, "message"),
    ("a compressed message of no encoding", PUT, {"body": framed(b"", 1)}, 13, "compressed-flag"),
    ("an unknown encoding", GET, {"grpc_encoding": "x"}, 12, "identity"),
    ("the identity encoding", GET, {"grpc_encoding": "identity"}, 0, ""),
    ("no path of a method", "/", {}, 12, "no such"),
    ("a path that is too long", GET + "/more", {}, 12, "no such"),
    ("no te", GET, {"te": None}, 0, ""),
    ("no authority", GET, {"authority": None}, 0, ""),
    ("a host in place of the authority", GET, {"authority": None, "host": "localhost"}, 0, ""),
    ("a type with a codec", GET, {"content_type": "application/grpc+proto"}, 0, ""),
    ("metadata that isn't base64", GET, {"x_bin": "no base64!"}, 0, ""),
    ("headers of 40 KiB", GET, {"x_large": "v" * 40960}, 8, "16 KiB"),
    ("headers of 100 KiB", GET, {"x_large": "v" * 102400}, "431", ""),
    ("a GET", GET, {"method": "GET"}, "405", ""),
    ("another content type", GET, {"content_type": "application/json"}, "415", ""),
    ("no content type", GET, {"content_type": None}, "415", ""),
    ("the content type of grpc-web", GET, {"content_type": "application/grpc-web"}, "415", ""),
]


def check_cases(wire):
    for name, path, changes, expected, word in CASES:
        changes.setdefault("body", framed(get(b"k") if path.startswith(GET) else put(b"k")))
        answer = wire.call(path, **changes)
        if isinstance(expected, int):
            words = unquote(answer.get("grpc-message", ""))
            is_ok = answer.get("grpc-status") == str(expected) and word in words
            is_ok = is_ok and answer.get(":status") == "200"
        else:
            is_ok = answer.get(":status") == expected
        verdict(name, is_ok, answer)
    wire.call(PUT, framed(put(b"reset")), reset=True)
    answer = wire.call(GET, framed(get(b"reset")))
    is_ok = answer.get("grpc-status") == "0" and b"token" not in answer["data"]
    verdict("a Put that was reset is not run", is_ok, answer)
    answer = wire.call(CHECK)
    verdict("the connection outlives all of these calls", answer.get("data") == framed(SERVING), answer)


def check_authorities(name, wire):
    for authority in AUTHORITIES:
        answers = [wire.call(CHECK, authority=authority) for _ in range(2)]
        is_ok = all(answer.get("data") == framed(SERVING) for answer in answers)
        verdict(f"{name}: {authority}", is_ok, answers)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: protocol.py PATH-TO-CREDCACHE")
    with tempfile.TemporaryDirectory() as directory:
        server = Server(sys.argv[1], directory)
        try:
            check_stock_client("over a Unix socket", f"unix:{server.path}")
            check_stock_client("over a Unix socket by URI", f"unix://{server.path}")
            check_stock_client("over TCP", server.address)
            asyncio.run(check_stock_async_client("over a Unix socket", f"unix:{server.path}"))
            check_refusals_by_stock_client(f"unix:{server.path}")
            host, port = server.address.rsplit(":", 1)
            check_cases(Wire(socket.AF_INET, (host, int(port))))
            check_authorities("over TCP", Wire(socket.AF_INET, (host, int(port))))
            check_authorities("over a Unix socket", Wire(socket.AF_UNIX, server.path))
        finally:
            code = server.stop()
        verdict("SIGTERM ends the server with exit 0", code == 0, code)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
