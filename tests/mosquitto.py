"""A real MQTT broker, and someone who listens there."""

import os
import secrets
import shutil
import socket
import subprocess
import threading

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.patience import MINUTE_S, lasting_port, until

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


class Mosquitto:
    def __init__(self, folder, *lines):
        self.port = lasting_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 20000\n"
            f"persistence true\npersistence_location {folder}/\n"
            # Only root may change to another user, who could not read this folder.
            "user root\n" + "\n".join(lines)
        )
        self.url = f"mqtt://127.0.0.1:{self.port}/town"
        self.start()

    def start(self):
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen([MOSQUITTO, "-c", self._config], stdout=quiet, stderr=quiet)
        until(self._listens)

    def _listens(self):
        assert self.process.poll() is None, "mosquitto ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """Hears everything that a broker has to tell, before and after it was restarted."""

    def __init__(self, broker):
        self.heard, ready = [], threading.Event()
        name = f"listener{secrets.token_hex(4)}"
        self._client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5)
        self._client.on_message = lambda client, data, message: self.heard.append(message)
        self._client.on_subscribe = lambda *_: ready.set()
        lasting = Properties(PacketTypes.CONNECT)
        lasting.SessionExpiryInterval = 3600
        self._client.connect("127.0.0.1", broker.port, clean_start=False, properties=lasting)
        self._client.loop_start()
        self._client.subscribe("#", qos=1)
        assert ready.wait(MINUTE_S)

    @property
    def events(self):
        return [m for m in self.heard if not m.topic.endswith("/status")]

    @property
    def distinct(self):
        """What was told, repeats dropped."""
        return dict.fromkeys(bytes(m.payload) for m in self.events)

    @property
    def status(self):
        return [(m.payload.decode(), m.retain) for m in self.heard if m.topic.endswith("/status")]

    def close(self):
        self._client.disconnect()
