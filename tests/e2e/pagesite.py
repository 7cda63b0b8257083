# SPDX-License-Identifier: MIT
"""A broker with users and rules, and bridges that serve the page, as the page's tests want them."""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import PATIENCE, Broker, Bridge, free_port, mqtt_client, v1, wait_for

IDENT = "9170503816"
ROOT = pathlib.Path(os.environ.get("T2M_WEB", "")) if os.environ.get("T2M_WEB") else None
built = pytest.mark.skipif(ROOT is None or not (ROOT / "index.html").is_file(), reason="the page is not built (T2M_WEB)")


class Site:
    def __init__(self, directory, options=None, broker=""):
        passwords = directory / "passwords"
        for n, user in enumerate(["bridge", "viewer", "dispatcher", "curious"]):
            subprocess.run(["mosquitto_passwd", *(["-c"] if n == 0 else []), "-b", passwords, user, "secret"], check=True)
        options = options or {}
        prefix = options.get("publish", {}).get("prefix", "trackers")
        rules = directory / "acl"
        rules.write_text(f"user bridge\ntopic readwrite #\nuser viewer\ntopic read {prefix}/#\n"
                         f"user dispatcher\ntopic read {prefix}/#\ntopic write {prefix}/+/cmd\n"
                         f"user curious\ntopic read {prefix}/#\ntopic write {prefix}/+/raw/set\n")
        os.chmod(rules, 0o600)
        self.public = free_port()
        # the first listener is for the tests' own subscriber, the second one asks for a password
        self.broker = Broker(directory, f"listener {self.public} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
                             f"acl_file {rules}\n{broker}", "per_listener_settings true\n")
        self.port = free_port()
        options.setdefault("mqtt", {}).update({"username": "bridge", "password": "secret"})
        options.setdefault("web", {}).update({"listen": f"127.0.0.1:{self.port}", "root": ROOT})
        options.setdefault("publish", {}).setdefault("raw", "yes")
        self.url = f"http://127.0.0.1:{self.port}/"
        self.options, self.bridges = options, []

    @property
    def bridge(self):
        return self.bridges[0]

    def start(self, options):
        directory = self.broker.directory / f"bridge{len(self.bridges)}"
        directory.mkdir()
        self.bridges.append(Bridge(directory, self.public, options))
        wait_for(lambda: "connected to broker" in self.bridges[-1].log(), "the broker connection")
        return self.bridges[-1]

    def second(self, **publish):
        """Another bridge at the same broker, under another name."""
        return self.start({"mqtt": {"username": "bridge", "password": "secret"}, "publish": {"instance": "second", "state": "yes", **publish}})

    def stranger(self):
        """One who may publish everything."""
        return Stranger(self.public)

    def close(self):
        codes = [bridge.stop() for bridge in self.bridges]
        self.broker.stop()
        for code, bridge in zip(codes, self.bridges):
            assert code == 0 and "Sanitizer" not in bridge.log(), bridge.log()


class Stranger:
    def __init__(self, port):
        self.client = mqtt_client("stranger")
        self.client.max_queued_messages_set(0)
        self.client.max_inflight_messages_set(1000)
        self.client.username_pw_set("bridge", "secret")
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def say(self, topic, payload, qos=1, retain=False):
        """`payload`: bytes as they are, anything else as JSON."""
        return self.client.publish(topic, payload if isinstance(payload, bytes) else json.dumps(payload), qos, retain)

    def close(self, last=None):
        if last is not None:
            last.wait_for_publish(PATIENCE)
            assert last.is_published()
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def make_site(tmp_path):
    made = []

    def make(options=None, **kw):
        directory = tmp_path / f"site{len(made)}"
        directory.mkdir()
        made.append(Site(directory, options, **kw))
        made[-1].start(made[-1].options)  # what is started is ended, also when this fails
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site):
    return make_site()


def frame_is_shown(page, unit, clock):
    """Sent until it is: nothing tells when the page's subscription has reached the broker."""
    def shown():
        unit.send(v1(IDENT, clock))
        return f"*HQ,{IDENT},V1,{clock}," in page.text(".frames")

    wait_for(shown, f"the frame of {clock}")
