"""A real MQTT broker, Debian's mosquitto, on a free port, and a client that records what it sends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from support.waiting import comes_true

COMMAND = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Broker:
    """Runs until the block ends."""

    def __init__(self, folder: Path, *options: str) -> None:
        if COMMAND is None:
            pytest.skip("needs Debian's package mosquitto")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", *(options or ["allow_anonymous true"]), "user root"]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert COMMAND is not None
        self._process = subprocess.Popen(
            [COMMAND, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def answers() -> bool:
            assert self._process is not None and self._process.poll() is None, "mosquitto ended"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return False
            return True

        comes_true(answers)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Listener:
    """Records all messages of a broker (`seen`) and the last one of each topic (`last`)."""

    def __init__(self, broker: Broker) -> None:
        paho = pytest.importorskip("paho.mqtt.client", reason="needs the extra run")
        self.seen: list[tuple[str, bytes, bool]] = []
        self.last: dict[str, bytes] = {}
        subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._note
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert subscribed.wait(20)

    def _note(self, client: Any, userdata: Any, message: Any) -> None:
        self.seen.append((message.topic, message.payload, message.retain))
        self.last[message.topic] = message.payload

    def events(self, topic: str = "mainstream/events") -> list[dict[str, Any]]:
        return [json.loads(payload) for where, payload, _ in list(self.seen) if where == topic]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
