"""As much of a WebSocket client (RFC 6455) as a console needs."""

import base64
import os
import socket
import ssl
import struct
from urllib.parse import urlsplit


class WebSocket:
    def __init__(self, url, limit=20, authority=None):
        parts = urlsplit(url)
        self.wire = socket.create_connection((parts.hostname, parts.port), timeout=limit)
        if parts.scheme in ("wss", "https"):
            self.wire = ssl.create_default_context(cafile=authority).wrap_socket(self.wire, server_hostname=parts.hostname)
        key = base64.b64encode(os.urandom(16)).decode()
        self.wire.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self._more()
        self.head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        self.status = int(self.head.split()[1])

    def _more(self):
        got = self.wire.recv(65536)
        if not got:
            raise EOFError("the other side has ended it")
        return got

    def _exactly(self, count):
        while len(self.rest) < count:
            self.rest += self._more()
        got, self.rest = self.rest[:count], self.rest[count:]
        return got

    def send(self, data):
        mask = os.urandom(4)
        assert len(data) < 126
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self.wire.sendall(struct.pack("!BB", 0x82, 0x80 | len(data)) + mask + masked)

    def receive(self):
        """The next message; an empty one when the other side ends it."""
        while True:
            first, length = self._exactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", self._exactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._exactly(8))
            data = self._exactly(length)
            if first & 0x0F == 8:
                return b""
            if first & 0x0F in (1, 2):
                return data

    def until(self, words):
        heard = b""
        while words not in heard:
            message = self.receive()
            assert message, heard
            heard += message
        return heard

    def close(self):
        self.wire.close()
