"""Events over MQTT, in a form that Home Assistant finds by itself.

===================================  ======================================================================
``PREFIX/availability``              ``online`` or, by the Last Will, ``offline``; retained
``PREFIX/events``                    ``{"type": "start" or "end", "event": {...}}``, one at each change
``PREFIX/APP/state``                 ``ON`` while an event of the app goes on, else ``OFF``; retained
``PREFIX/APP/event``                 the app's last event; retained
``PREFIX/APP/snapshot``              a JPEG of its peak; retained
``homeassistant/KIND/PREFIX/APP/config``  a binary sensor and an image for each app; retained
===================================  ======================================================================

The library's own thread connects, reconnects and sends; publishing only adds to a queue of bounded length. Retained
messages are published again at each connection, so a broker may forget them. What a broker still has of apps that left
while nobody was connected is removed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from mainstream._optional import require
from mainstream.errors import ProblemError
from mainstream.streamer.events.event import Event, PlannedApp, escaped

if TYPE_CHECKING:
    import paho.mqtt.client as paho

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_MOST_QUEUED: Final = 1000
_DELAYS_S: Final = (1, 30)
"""Pauses before a broker is tried again: the first, and the longest."""
_KEEPALIVE_S: Final = 15
_END_S: Final = 1.0
"""Seconds that the last messages may take."""
_ON, _OFF = "ON", "OFF"
_KINDS: Final = ("binary_sensor", "image")
_MOST_ANNOUNCED: Final = 10_000
"""Topics that are remembered: a broker may send any number of them."""

_log = logging.getLogger(__name__)


class Mqtt:
    """Publishes events; :meth:`close` it.

    Parameters
    ----------
    url : str
        ``mqtt://USER:PASSWORD@HOST:PORT/PREFIX``, or ``mqtts://`` with TLS; all but the host may be left out.
    lost : callable
        Called for each message for which there was no room.
    stream : str, optional
        Name of the camera, if there are several: it follows the prefix, so that each has topics of its own.

    Raises
    ------
    MissingExtraError
        paho-mqtt is not installed.
    ProblemError
        It is not such a URL.
    """

    def __init__(self, url: str, lost: Callable[[], None], stream: str | None = None) -> None:
        require("paho", "run")
        import paho.mqtt.client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self._lost = lost
        self._apps: dict[str, PlannedApp] | None = None
        """None until a plan runs: without any apps, what the broker has of them would be removed."""
        self._going_on: set[str] = set()
        self._last: dict[str, str] = {}
        """Escaped name -> its last event."""
        self._announced: set[str] = set()
        """Topics for discovery that the broker has, from this run or an earlier one."""
        self._pictures: dict[str, paho.MQTTMessageInfo] = {}
        self._behind = False
        self._connected_before = False
        self._refused: object = None
        secure, host, port, name, password, self._prefix = _parts(url)
        if stream is not None:
            self._prefix += f"/{escaped(stream)}"
        self._where = f"{host}:{port}"
        self._client = paho.Client(CallbackAPIVersion.VERSION2, f"mainstream-{token_hex(4)}")
        if name is not None:
            self._client.username_pw_set(name, password)
        if secure:
            self._client.tls_set()
        self._client.max_queued_messages_set(_MOST_QUEUED)
        self._client.reconnect_delay_set(*_DELAYS_S)
        self._client.will_set(self._topic("availability"), "offline", qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._client.connect_async(host, port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()

    def plan(self, apps: Mapping[int, PlannedApp]) -> None:
        """These apps run now."""
        self._apps = {app.name: app for app in apps.values()}
        self._announce()

    def told(self, kind: str, event: Event, picture: bytes | None) -> None:
        """An event has begun or ended."""
        app = escaped(event.app)
        self._last[app] = event.to_json()
        if kind == "start":
            self._going_on.add(event.app)
        else:
            self._going_on.discard(event.app)
        self._publish(self._topic("events"), json.dumps({"type": kind, "event": event.wire()}), retain=False)
        self._publish(self._topic(app, "event"), self._last[app])
        self._publish(self._topic(app, "state"), self._state(event.app))
        if picture is not None and self._client.is_connected():
            before = self._pictures.get(app)
            if before is None or before.is_published():  # pictures are large, so only one of an app waits at a time
                self._pictures[app] = self._client.publish(self._topic(app, "snapshot"), picture, retain=True)

    def tick(self) -> None:
        """Publish the retained messages again if there was no room for some of them."""
        if self._behind and self._client.is_connected():
            self._behind = False
            self._announce()

    def close(self) -> None:
        """Say that nobody is here any more, and disconnect."""
        if self._client.is_connected():
            self._client.publish(self._topic("availability"), "offline", qos=1, retain=True).wait_for_publish(_END_S)
        self._client.disconnect()
        # loop_stop() would wait for a thread that may wait for a broker; it is a daemon.

    def _state(self, app: str) -> str:
        return _ON if app in self._going_on else _OFF

    def _topic(self, *parts: str) -> str:
        return "/".join((self._prefix, *parts))

    def _discovery(self, kind: str, app: str) -> str:
        return f"homeassistant/{kind}/{escaped(self._prefix)}/{app}/config"

    def _publish(self, topic: str, payload: str, *, retain: bool = True) -> None:
        if self._client.publish(topic, payload, qos=1, retain=retain).rc == _queue_full():
            self._behind = True
            self._lost()

    def _announce(self) -> None:
        """Publish what is retained of each app, and remove what is retained of others."""
        if self._apps is None:
            return
        names = [escaped(name) for name in self._apps]
        for gone in self._announced - {self._discovery(kind, app) for kind in _KINDS for app in names}:
            self._announced.discard(gone)
            self._publish(gone, "")
        for name in list(self._apps):
            app = escaped(name)
            for kind, about in zip(_KINDS, (self._sensor(name, app), self._image(name, app)), strict=True):
                self._announced.add(self._discovery(kind, app))
                self._publish(self._discovery(kind, app), json.dumps(about))
            self._publish(self._topic(app, "state"), self._state(name))
            if app in self._last:
                self._publish(self._topic(app, "event"), self._last[app])

    def _sensor(self, name: str, app: str) -> dict[str, Any]:
        about = {"state_topic": self._topic(app, "state"), "json_attributes_topic": self._topic(app, "event")}
        return self._entity(name, f"{app}_event") | about

    def _image(self, name: str, app: str) -> dict[str, Any]:
        about = {"image_topic": self._topic(app, "snapshot"), "content_type": "image/jpeg"}
        return self._entity(f"{name} snapshot", f"{app}_snapshot") | about

    def _entity(self, name: str, object_id: str) -> dict[str, Any]:
        prefix = escaped(self._prefix)
        return {
            "name": name,
            "unique_id": f"{prefix}_{object_id}",
            "availability_topic": self._topic("availability"),
            "device": {"identifiers": [prefix], "name": self._prefix},
        }

    def _on_connect(self, client: paho.Client, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure:
            if self._refused != code:
                _log.warning("MQTT: %s refuses the connection: %s", self._where, code)
            self._refused = code
            return
        if self._connected_before or self._refused is not None:
            _log.warning("MQTT: %s is connected", self._where)
        self._connected_before, self._refused = True, None
        client.subscribe(self._discovery("+", "+"), qos=1)
        self._publish(self._topic("availability"), "online")
        self._announce()

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        known = message.topic in self._announced or len(self._announced) >= _MOST_ANNOUNCED
        if message.payload and not known:
            self._announced.add(message.topic)
            self._behind = True  # the next tick removes it if its app is gone

    def _on_connect_fail(self, client: paho.Client, userdata: Any) -> None:
        if self._refused is None:
            _log.warning("MQTT: %s cannot be reached; it is tried again and again", self._where)
        self._refused = "unreachable"

    def _on_disconnect(self, client: paho.Client, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if code.is_failure and self._refused is None:
            _log.warning("MQTT: %s is lost: %s; it is tried again and again", self._where, code)


def _queue_full() -> object:
    from paho.mqtt.enums import MQTTErrorCode

    return MQTTErrorCode.MQTT_ERR_QUEUE_SIZE


def _parts(url: str) -> tuple[bool, str, int, str | None, str | None, str]:
    """Secure, host, port, name, password and prefix; errors do not show the password."""
    allowed = "it has to be mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX], or mqtts:// for TLS"
    try:
        found = urlsplit(url)
        port = found.port or _PORTS[found.scheme]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProblemError(f"mqtt: this is not the URL of a broker; {allowed}") from None
    prefix = found.path.strip("/") or "mainstream"
    if not found.hostname or {"+", "#", "?"} & {*url} or not prefix.isprintable():
        raise ProblemError(f"mqtt: this is not the URL of a broker; {allowed}, without +, # and ?")
    name = None if found.username is None else unquote(found.username)
    password = None if found.password is None else unquote(found.password)
    return found.scheme == "mqtts", found.hostname, port, name, password, prefix
