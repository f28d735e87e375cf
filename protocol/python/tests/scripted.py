"""A server that answers as a test says: the daemon itself does not lose connections on request."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Callable, Optional

from logq.resp import Reader

GREETING = b"%2\r\n$6\r\nserver\r\n$5\r\nlogqd\r\n$15\r\nmax-reply-bytes\r\n:100000\r\n"

Answer = Callable[[list[bytes], int], Optional[bytes]]
"""The reply to the words of a request on the connection with this number. None closes the connection."""


class ScriptedServer:
    """Greets, and then answers each request as the script says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"logq://127.0.0.1:{self._socket.getsockname()[1]}"
        self.connections = 0
        self.requests: list[list[bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        # Closing alone does not wake a thread that accepts.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        buffer, position, reader = bytearray(), 0, Reader()
        with connection, contextlib.suppress(OSError):
            while True:
                after = reader.read(buffer, position)
                if after < 0:
                    data = connection.recv(65_536)
                    if not data:
                        return
                    buffer += data
                    continue
                words, position, reader = reader.result, after, Reader()
                if words[0] == b"HELLO":
                    reply: Optional[bytes] = GREETING
                else:
                    self.requests.append(words)
                    reply = self._answer(words, number)
                if reply is None:
                    return
                # Byte by byte at first, then the rest.
                for index in range(min(len(reply), 4)):
                    connection.sendall(reply[index : index + 1])
                    time.sleep(0.001)
                connection.sendall(reply[4:])
