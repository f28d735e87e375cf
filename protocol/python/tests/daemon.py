"""The real daemon as a child process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Optional

REPOSITORY = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60.0


def executable() -> str:
    """The daemon's executable: that of the environment, or the one that was built in this repository."""
    named = os.environ.get("LOGQD_EXECUTABLE")
    built = [REPOSITORY / ".build" / kind / "logqd" for kind in ("debug", "release")]
    for candidate in [Path(named)] if named else built:
        if candidate.exists():
            return str(candidate)
    raise FileNotFoundError("found no logqd: run `swift build`, or set LOGQD_EXECUTABLE")


class Daemon:
    """A daemon on a directory. It can be killed and started again, on the same socket."""

    def __init__(self, directory: Path, flags: tuple[str, ...] = ()) -> None:
        self.directory = directory
        self.flags = flags
        self.socket_path = str(directory / "socket")
        self.port = 0
        self._process: Optional[subprocess.Popen[str]] = None
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"logq+unix://{self.socket_path}"

    @property
    def tcp_url(self) -> str:
        return f"logq://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the daemon, and returns once it reports that it is ready."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOGQD_")}
        environment["LOGQD_QUERY_TIMEOUT_MS"] = "60000"
        listening = ["--listen", f"127.0.0.1:{self.port}", "--unix", self.socket_path]
        command = [executable(), "--data", str(self.directory / "data"), *listening, *self.flags]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self._process = process
        log = process.stderr
        assert log is not None
        lines = []
        for line in log:
            lines.append(line)
            found = re.search(r"127\.0\.0\.1:([0-9]+)", line)
            if "ready" in line and found:
                self.port = int(found[1])
                # The log must be read, or else the daemon waits.
                threading.Thread(target=log.read, daemon=True).start()
                return
        raise RuntimeError("the daemon did not start:\n" + "".join(lines))

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends the daemon with SIGKILL, and returns when it has ended."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """Ends the daemon with SIGTERM. Returns its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_SECONDS)
