"""Where a daemon listens."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from .errors import Unsent

DEFAULT_PORT = 5647
DEFAULT_URL = f"logq://127.0.0.1:{DEFAULT_PORT}"


@dataclass(frozen=True)
class Address:
    """A host and a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @staticmethod
    def parse(url: str) -> Address:
        """``logq://host[:port]`` or ``logq+unix:///path``. Anything else is :class:`Unsent`."""
        parts = urlsplit(url)
        if parts.scheme == "logqs":
            raise Unsent(f"got {url!r}, but this version has no TLS: use logq:// and a tunnel, or logq+unix://")
        if parts.scheme not in ("logq", "logq+unix") or parts.query or parts.fragment or parts.username is not None:
            raise Unsent(f"got {url!r}, expected logq://host:port or logq+unix:///path")
        if parts.scheme == "logq+unix":
            path = unquote(parts.path)
            if parts.netloc or not path.startswith("/") or len(path) < 2:
                raise Unsent(f"got {url!r}, expected logq+unix:/// and an absolute path")
            return Address(path=path)
        try:
            port = DEFAULT_PORT if parts.port is None else parts.port
        except ValueError as error:
            raise Unsent(f"got {url!r}: {error}") from None
        if not parts.hostname or parts.path not in ("", "/"):
            raise Unsent(f"got {url!r}, expected logq://host:port")
        return Address(host=parts.hostname, port=port)

    def __str__(self) -> str:
        return f"logq+unix://{self.path}" if self.path else f"logq://{self.host}:{self.port}"
