# SPDX-License-Identifier: MIT
"""tracker2mqtt-watch: a line a thing, from a real broker and bridge; nothing that anybody publishes reaches a terminal as a control
character; it says why it cannot connect, and connects again when the broker comes back."""

import json
import os
import pty
import random
import re
import subprocess

import msgpack
import pytest
from certificates import Authority
from conftest import BUILD, Broker, Unit, free_port, stop, v1, wait_for

WATCH = BUILD / "tracker2mqtt-watch"
PLAIN = {key: value for key, value in os.environ.items()
         if not key.startswith(("LC_", "TRACKER2MQTT_")) and key not in ("LANG", "NO_COLOR", "TERM")} | {"TZ": "UTC0"}


class Watch:
    def __init__(self, directory, *args, port=None, env=None, wait="connected to"):
        self.paths = directory / "watch.out", directory / "watch.err"
        self.files = [open(path, "wb") for path in self.paths]
        command = [WATCH, *(("-h", "127.0.0.1", "-p", str(port)) if port else ()), *map(str, args)]
        self.process = subprocess.Popen(command, stdout=self.files[0], stderr=self.files[1], env=PLAIN | {"LANG": "C.UTF-8"} | (env or {}))
        if wait:
            self.until_said(wait)

    @property
    def text(self):
        return self.paths[0].read_bytes().decode()

    @property
    def said(self):
        return self.paths[1].read_text()

    def lines(self):
        """Without the time that each begins with."""
        return [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in self.text.splitlines()]

    def until(self, part):
        wait_for(lambda: part in self.text or self.process.poll() is not None, part)
        assert part in self.text, self.text + self.said

    def until_said(self, part, count=1):
        wait_for(lambda: self.said.count(part) >= count or self.process.poll() is not None, part)
        assert self.said.count(part) >= count, self.said

    def end(self):
        code = stop(self.process)
        for f in self.files:
            f.close()
        assert "Sanitizer" not in self.said, self.said
        return code


@pytest.fixture
def watch(tmp_path, broker):
    made = []

    def make(*args, **kw):
        directory = tmp_path / f"watch{len(made)}"
        directory.mkdir()
        made.append(Watch(directory, *args, **{"port": broker.port} | kw))
        return made[-1]

    yield make
    for w in made:
        if w.process.poll() is None:
            assert w.end() == 0, w.said


@pytest.mark.parametrize("format", ["json", "msgpack"])
def test_a_line_a_thing(make_bridge, watch, subscribe, format):
    bridge = make_bridge({"publish": {"format": format}})
    bridge.wait_connected()
    w, sub = watch(), subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816", status="FFFFFFFF") + v1("9170503816", time="123507", status="FFFFFFFD"))
    w.until("ALARM")
    sub.publish("trackers/9170503816/cmd", '{"command":"position.request","id":"a1"}')
    frame = unit.receive_until(b",D1,").decode()
    asked = re.search(r"\*HQ,9170503816,D1,(\d{6})[^#]*#", frame)
    w.until(f"sent  {asked[0]}")
    unit.send(f"*HQ,9170503816,V4,D1,{asked[1]}#")
    w.until("answered in")
    sub.publish("trackers/9170503816/cmd", "engine.stop")
    w.until("rejected  engine.stop is a named command")
    stranger = Unit(bridge.port)
    stranger.send(b"GET / HTTP/1.0\r\n\r\n")
    stranger.finish()
    w.until("GET / HTTP")
    unit.close()
    w.until("off line")
    assert w.end() == 0
    lines = w.lines()
    assert lines[0] == "bridge      on line   test"
    assert lines[1] == f"9170503816  on line   h02 over tcp from {unit.peer}"
    place = "9170503816  position  22.54337 113.92997   40 km/h   90°  ignition on  of 2016-12-13 12:35:0"
    assert lines[2:5] == [place + "6", place + "7", "9170503816  ALARM     sos  of 2016-12-13 12:35:07"]
    assert "9170503816  command   position.request  id a1  asked" in lines
    assert "9170503816  off line  closed by the unit" in lines
    assert any(re.fullmatch(r"9170503816  command   position.request  id a1  answered in \d+\.\d\d s  .+", line) for line in lines), lines
    assert any(line.startswith(f"bridge      unknown   {stranger.peer} over tcp") and line.endswith(r"GET / HTTP/1.0\x0d\x0a\x0d\x0a") for line in lines)
    assert re.search(r"received in \d+ s: [23] positions, [01] telemetry, 1 alarms, \d+ messages in all", w.said)


@pytest.mark.parametrize("format", ["json", "msgpack"])
def test_json_is_what_was_published(make_bridge, watch, subscribe, format):
    bridge = make_bridge({"publish": {"format": format, "raw": "yes"}})
    bridge.wait_connected()
    w, sub = watch("--json", "--record", bridge.directory / "record"), subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    unit.send(bytes.fromhex("7E0102000A009170000001000139313730303030303031E67E"))  # bytes that are no text, in the raw topic
    sub.on("trackers/9170503816/raw", 1)
    record = sub.on("trackers/9170503816/position")[0]
    wait_for(lambda: w.text.count("/raw") >= 2, "raw frames")
    assert w.end() == 0 and "received" not in w.said
    rows = [json.loads(line) for line in w.text.splitlines()]
    assert all(row.keys() == {"tst", "topic", "retain", "payloadlen", "payload"} for row in rows)
    shown = [row for row in rows if row["topic"] == "trackers/9170503816/position"]
    assert [row["payload"] for row in shown] == [record.record] and shown[0]["payloadlen"] == len(record.payload)
    for row in rows:
        if row["topic"].endswith("/raw"):
            assert row["payload"] in [m.record for m in sub.now(lambda m: m.topic == row["topic"])]
    assert rows[0]["topic"] == "trackers/bridge/test/status" and rows[0]["payload"] == "online" and rows[0]["retain"] == 1
    assert (bridge.directory / "record").read_text() == "9170503816 1481632506\n"
    unit.close()


HOSTILE = [b"\x1b[2J\x1b]0;title\x07", b"\xc2\x9b31mred", b"\xff\xfe\x00\x80", b"\x7f", "\u202egnp.exe".encode(), b"a\r\nb", b"", b"{",
           b'{"a":' * 5000, b"[" * 5000, b"\xdf\xff\xff\xff\xff", b"\x81" * 3000, b"\xdd\xff\xff\xff\xff", b"\xc1", b"\x80",
           json.dumps({"state": "online\x1b[2J", "protocol": "\x9b", "transport": "\n", "peer": "\x07", "reason": "\x1b", "alarms": ["\x1b", 1],
                       "command": "\x1b]", "status": "\x1b", "text": "\x1b", "hex": "\x1b", "message.type": "\x9b", "looks.like": "\x1b"},
                      ensure_ascii=False).encode(),
           b'{"timestamp":1e999,"position.latitude":1e308,"position.longitude":-1e308,"position.speed":1e300,"since":-1e308}',
           b'{"timestamp":9e10,"since":-9e10,"elapsed":1e308,"status":"answered","position.latitude":"1","rejected":{},"alarms":{}}',
           msgpack.packb({"a\x1b": [None, -2**63, 2**64 - 1, 1e300, b"\x00\x1b", {1: 2}], 5: "\x1b"}), b"9" * 2_000_000, b'"' + b"\\" * 9001]
LEAVES = ["position", "telemetry", "alarm", "status", "cmd", "cmd/reply", "raw"]
TOPICS = [f"trackers/9170503816/{leaf}" for leaf in LEAVES] + [
    "trackers/bridge/test/status", "trackers/bridge/test/unknown", "trackers/\u00e9\u7ca4/position", "trackers//position"]


def controls(text):
    """The characters that a terminal may obey; lines end with a line feed."""
    return {hex(ord(c)) for c in text.replace("\n", "") if ord(c) < 32 or 0x7f <= ord(c) < 0xa0 or 0x202a <= ord(c) <= 0x202e}


@pytest.mark.parametrize("args", [(), ("--json",), ("--first", "--hint")])
def test_bytes_of_any_kind(watch, subscribe, args):
    chance = random.Random(5)
    w, sub = watch(*args), subscribe("nothing")
    messages = [(topic, payload) for topic in TOPICS for payload in HOSTILE]
    messages += [(chance.choice(TOPICS), chance.randbytes(chance.randrange(400))) for _ in range(300)]
    for topic, payload in messages:
        sub.client.publish(topic, payload, 1)
    sub.publish("trackers/last/cmd", "the end")
    w.until("the end")
    assert w.process.poll() is None
    assert controls(w.text) == set()
    if "--json" in args:
        rows = [json.loads(line) for line in w.text.splitlines()]
        assert [row["topic"] for row in rows[:-1]] == [topic for topic, _ in messages]
        assert [row["payloadlen"] for row in rows[:-1]] == [len(payload) for _, payload in messages]
    elif not args:
        assert len(w.text.splitlines()) == len(messages) + 1, "a line a message"


def test_it_connects_again(broker, watch, subscribe):
    w = watch()
    broker.stop()
    w.until_said("the broker is gone, ")
    w.until_said("; the next try in ")
    broker.start()
    w.until_said("connected to", 2)
    subscribe("nothing").publish("trackers/1/cmd", "after")
    w.until("after  asked")


def test_only_these_units(broker, watch, subscribe):
    w, sub = watch("9170503816", "van-12"), subscribe("nothing")
    for name in ("9170503817", "9170503816", "other", "van-12"):
        sub.publish(f"trackers/{name}/telemetry", f'{{"message.type":"of {name}"}}')
    sub.publish("trackers/van-12/cmd", "last")
    w.until("last")
    assert [line.split()[0] for line in w.lines()] == ["9170503816", "van-12", "van-12"]


def test_topics_and_another_prefix(watch, subscribe):
    sub = subscribe("nothing")
    sub.publish("fleet/a/1/state", '{"x":1}', retain=True)
    w = watch("--prefix", "fleet/a", "-t", "fleet/a/+/state", "-t", "fleet/a/+/cmd")
    w.until('{"x":1}')
    sub.publish("fleet/a/1/cmd", "new")
    w.until("new")
    assert w.lines() == ['fleet/a/1/state  {"x":1}', "1           command   new  asked"]
    fresh = watch("-R", "-t", "fleet/#")
    sub.publish("fleet/a/1/cmd", "newer")
    fresh.until("newer")
    assert "state" not in fresh.text


def test_it_stops_after_so_many_or_after_a_time(watch, subscribe):
    sub = subscribe("nothing")
    w = watch("-C", "2")
    for n in range(4):
        sub.publish("trackers/1/cmd", f"m{n}")
    assert w.process.wait(30) == 0 and len(w.lines()) == 2
    assert watch("-W", "0.3").process.wait(30) == 0
    assert watch("-W", "0.3", "-C", "1").process.wait(30) == 3


def test_a_reader_that_goes_ends_it(broker, subscribe):
    sub = subscribe("nothing")
    process = subprocess.Popen(f"{WATCH} -h 127.0.0.1 -p {broker.port} 2>/dev/null | head -n 1", shell=True, stdout=subprocess.PIPE, text=True)

    def publish():
        sub.publish("trackers/1/cmd", "again")
        return process.poll() is not None

    wait_for(publish, "the end of the pipe")
    assert process.communicate()[0].count("\n") == 1


def seen_at_a_terminal(port, env, count):
    """What it writes to a terminal of 60 columns, until so many lines have come."""
    pid, terminal = pty.fork()
    if pid == 0:
        import fcntl, struct, termios
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        os.execve(WATCH, [str(WATCH), "-h", "127.0.0.1", "-p", str(port), "-C", str(count)], PLAIN | env)
    data = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        data += piece
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, data
    return data.decode().replace("\r", "")


def test_terminals(broker, subscribe):
    record = {"position.latitude": 50.0755, "position.longitude": 14.4578, "position.speed": 37, "position.direction": 90,
              "engine.ignition.status": True}
    subscribe("nothing").publish("trackers/9170000001/position", json.dumps(record), retain=True)
    lines = ["  9170000001  position  50.07550 14.45780   37 km/h", " " * 33 + "90°  ignition on"]
    coloured = seen_at_a_terminal(broker.port, {"LANG": "C.UTF-8", "TERM": "xterm"}, 1)
    assert "\x1b[" in coloured
    for env in ({"LANG": "C.UTF-8", "TERM": "xterm", "NO_COLOR": "1"}, {"LANG": "de_DE.utf8"}, {"LC_ALL": "en_US.UTF-8", "LANG": "C", "TERM": "dumb"}):
        text = seen_at_a_terminal(broker.port, env, 1)
        assert "\x1b" not in text and all(line in text for line in lines), text
        assert re.sub(r"\x1b\[[0-9;]*m|\d\d:\d\d:\d\d", "", coloured).split("\n")[1:3] == re.sub(r"\d\d:\d\d:\d\d", "", text).split("\n")[1:3]
    narrow = seen_at_a_terminal(broker.port, {"LANG": "C.UTF-8", "LC_ALL": "C", "NO_COLOR": "1"}, 1)
    assert "90 deg" in narrow and narrow.isascii()


def test_a_record_in_full_and_a_command_that_works(broker, make_bridge, watch):
    bridge = make_bridge()
    bridge.wait_connected()
    w = watch("--first", "--hint")
    unit = Unit(bridge.port)
    unit.send(v1("9170503816") + v1("9170503816", time="123507"))
    w.until("12:35:07")
    command = re.search(r"^    (mosquitto_pub .*\\\n.*)$", w.text, re.M)[1]
    subprocess.run(["bash", "-c", command], check=True, timeout=60)
    w.until("position.request  sent  *HQ,9170503816,D1,")
    whole = json.loads(re.search(r"^    \{\n.*?^    \}\n", w.text, re.S | re.M)[0])
    assert whole["ident"] == "9170503816" and whole["vehicle.state"] == "FFFFFBFF"
    assert w.text.count("This is what a program gets") == w.text.count("Try a command") == 1
    unit.close()


def test_what_is_to_be_copied_is_safe_to_be_copied(watch, subscribe, tmp_path):
    """Whoever may publish chooses the topic: a name that a shell would obey is in no command to try."""
    sub = subscribe("nothing")
    w = watch("--hint", "--record", tmp_path / "record")
    for name in ("$(reboot)", "a;reboot", "`x`", "a'b", "van-12"):
        sub.publish(f"trackers/{name}/status", '{"state":"online"}')
    for ident in ("1\n2 3", "9170503816"):
        sub.publish("trackers/1/position", json.dumps({"ident": ident, "timestamp": 5}))
    w.until("-t trackers/van-12/cmd")
    sub.publish("trackers/1/cmd", "last")
    w.until("last")
    assert w.end() == 0
    assert w.text.count("mosquitto_pub") == 1
    assert (tmp_path / "record").read_text() == "9170503816 5\n"


def test_a_small_message_is_no_large_text(watch, subscribe):
    w, sub = watch("--first"), subscribe("nothing")
    deep = '{"a":' + "[" * 900 + ",".join("1" * 30000) + "]" * 900 + "}"
    sub.publish("trackers/1/position", deep)
    sub.publish("trackers/bridge/x/unknown", json.dumps({f"k{n}": "v" for n in range(10000)}))
    sub.publish("trackers/1/cmd", "last")
    w.until("last")
    assert "This is what a program gets" in w.text and len(w.text) < 30 * len(deep)
    assert len(w.text.splitlines()[-2]) < 1000


SECRET = "a secret; of two words"


@pytest.fixture
def guarded(tmp_path):
    directory = tmp_path / "guarded"
    directory.mkdir()
    passwords = directory / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "reader", SECRET], check=True, capture_output=True)
    passwords.chmod(0o644)
    b = Broker(directory, f"password_file {passwords}\n")
    b.stop()
    b.config.write_text(b.config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    b.start()
    yield b
    b.stop()


def test_passwords(guarded, watch, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\r\nanother line\n")
    for args, env in ((("-u", "reader", "--password-file", secret), {}), (("-u", "reader"), {"TRACKER2MQTT_MQTT_PASSWORD": SECRET}),
                      ((), {"TRACKER2MQTT_MQTT_USERNAME": "reader", "TRACKER2MQTT_MQTT_PASSWORD_FILE": str(secret)}),
                      (("-u", "reader", "-P", SECRET), {}), (("-V", "mqttv5", "-u", "reader", f"--pw={SECRET}"), {})):
        w = watch(*args, port=guarded.port, env=env)
        with open(f"/proc/{w.process.pid}/cmdline", "rb") as f:
            assert b"two words" not in f.read()
    environment = {"TRACKER2MQTT_MQTT_HOST": "127.0.0.1", "TRACKER2MQTT_MQTT_PORT": str(guarded.port), "TRACKER2MQTT_PUBLISH_PREFIX": "x"}
    w = watch("-u", "reader", "-P", SECRET, port=None, env=environment)
    assert f"connected to 127.0.0.1:{guarded.port}" in w.said
    for args, part in (((), "-u NAME --password-file FILE"), (("-u", "reader", "-P", "wrong"), "are name and password right"),
                       (("-V", "mqttv5", "-u", "nobody", "-P", "wrong"), "are name and password right")):
        w = watch(*args, port=guarded.port, wait=None)
        assert w.process.wait(30) == 2 and "the broker refuses: " in w.said and part in w.said


def test_tls(tmp_path, watch, subscribe):
    ca, other = Authority(tmp_path), Authority(tmp_path, "other")
    pem, key = ca.issue("broker")
    mine = ca.issue("reader")
    port, strict = free_port(), free_port()
    directory = tmp_path / "secure"
    directory.mkdir()
    extra = "".join(f"listener {p} 127.0.0.1\ncertfile {pem}\nkeyfile {key}\n{more}" for p, more in (
        (port, ""), (strict, f"cafile {ca.pem}\nrequire_certificate true\n")))
    b = Broker(directory, extra)
    try:
        watch("--cafile", ca.pem, port=port)
        watch("--cafile", ca.pem, "--cert", mine[0], "--key", mine[1], port=strict)
        watch("-h", "localhost", "--cafile", ca.pem, "--insecure", port=port)
        for args, at, part in ((("--cafile", other.pem), port, "--cafile"), ((), port, "does this port want TLS"),
                               (("--cafile", ca.pem), b.port, "TLS port"), (("--tls-use-os-certs",), port, "--cafile"),
                               (("--cafile", "/nowhere"), port, "/nowhere: No such file")):
            w = watch(*args, port=at, wait=None)
            assert w.process.wait(30) == (1 if "/nowhere" in args else 2), w.said
            assert part in w.said and len(w.said.splitlines()) == 1, w.said
    finally:
        b.stop()


def test_no_broker(watch):
    for args, part in ((("-h", "127.0.0.1", "-p", free_port()), "Connection refused"), (("-h", "no.such.host.invalid"), "spelt right")):
        w = watch(*args, port=None, wait=None)
        assert w.process.wait(60) == 2 and part in w.said and len(w.said.splitlines()) == 1, w.said


@pytest.mark.parametrize("args, part", [
    (("-p", "70000"), "-p 70000: allowed is 1 to 65535"), (("--port=x",), "--port x: allowed is 1 to 65535"), (("-C", "0"), "1 to"),
    (("-W", "soon"), "seconds"), (("-V", "mqttv6"), "mqttv311"), (("--prefix", "a/#"), "without + and #"), (("a/b",), "IDENT a/b"),
    (("--password-file", "/nowhere"), "/nowhere: No such file"), (("--cert", "a"), "both or none"), (("-P", "a"), "-u NAME"),
    (("--colour",), "--help"), (("-h",), "--help"), (("-t", ""), "a topic filter")])
def test_usage(args, part):
    result = subprocess.run([WATCH, *args], capture_output=True, text=True, timeout=30, env=PLAIN)
    assert result.returncode == 1 and part in result.stderr and result.stdout == ""
    assert "two words" not in result.stderr


def test_help_and_version():
    for option, part in (("--help", "usage: tracker2mqtt-watch"), ("--version", "tracker2mqtt-watch ")):
        result = subprocess.run([WATCH, option], capture_output=True, text=True, timeout=30)
        assert result.returncode == 0 and part in result.stdout and result.stderr == ""
