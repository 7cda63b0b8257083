# SPDX-License-Identifier: MIT
"""Which frames are published, and who decides: the configuration, the units file, or somebody who asks for a while."""

import signal
import subprocess

import pytest
from conftest import BUILD, Unit, v1, wait_for
from test_several_bridges import two

IDENT = "9170503816"
RAW = f"trackers/{IDENT}/raw"


def frames(sub, topic=RAW):
    return [m.record for m in sub.now(lambda m: m.topic == topic) if m.record["direction"] != "none"]


def answers(sub, count, topic=RAW):
    return [m.record for m in sub.on(topic, count, where=lambda m: m.record["direction"] == "none")]


@pytest.mark.parametrize("raw, own, expected", [
    ("no", None, []), ("errors", None, ["bad"]), ("yes", None, ["in", "out", "bad"]),
    ("no", "errors", ["bad"]), ("yes", "no", []), ("errors", "yes", ["in", "out", "bad"])])
def test_which_frames(make_bridge, subscribe, tmp_path, raw, own, expected):
    units = tmp_path / "units.ini"
    units.write_text(f"[{IDENT}]\nname = Van\n" + (f"raw = {own}\n" if own else ""))
    bridge = make_bridge({"publish": {"raw": raw}, "units": {"file": units}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT) + f"noise*HQ,{IDENT},V1,nonsense#")
    unit.finish()
    sub.on(f"trackers/{IDENT}/status", where=lambda m: m.record["state"] == "offline")  # behind all that the unit said
    got = ["bad" if "error" in f else f["direction"] for f in frames(sub)]
    assert got == expected
    assert all(f["error"] == "bad-fields" and "nonsense" in f["text"] for f in frames(sub) if "error" in f)


def test_the_units_file_is_read_again(make_bridge, subscribe, tmp_path):
    units = tmp_path / "units.ini"
    units.write_text(f"[{IDENT}]\nname = Van\n")
    bridge = make_bridge({"units": {"file": units}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT, "000001"))
    unit.receive_until(b"#")
    assert not frames(sub)
    units.write_text(f"[{IDENT}]\nraw = yes\n")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    unit.send(v1(IDENT, "000002"))
    sub.on(RAW, 2)
    assert "000002" in frames(sub)[0]["text"]
    units.write_text(f"[{IDENT}]\nraw = sometimes\n")
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "no, errors or yes" in bridge.log(), "the fault")
    unit.close()


@pytest.mark.parametrize("word", ["on", "true", "1", "off"])
def test_words_of_before(make_bridge, word):
    """The option was yes or no, in all its spellings."""
    assert make_bridge({"publish": {"raw": word}}).process.poll() is None


def test_for_a_while(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1(IDENT, "000001"))
    unit.receive_until(b"#")
    sub.publish(f"{RAW}/set", "10m")
    (told,) = answers(sub, 1)
    assert told["instance"] == "test" and 0 < told["until"] and "error" not in told
    unit.send(v1(IDENT, "000002"))
    sub.on(RAW, 3)
    assert [f["direction"] for f in frames(sub)] == ["in", "out"] and "000002" in frames(sub)[0]["text"]
    sub.publish(f"{RAW}/set", "0")
    assert answers(sub, 2)[1]["until"] == 0
    unit.send(v1(IDENT, "000003"))
    unit.receive_until(b"#")
    unit.finish()
    sub.on(f"trackers/{IDENT}/status", where=lambda m: m.record["state"] == "offline")
    assert len(frames(sub)) == 2


def test_it_ends_by_itself(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    sub.publish(f"{RAW}/set", "2s")
    answers(sub, 1)
    unit.send(v1(IDENT))
    sub.on(RAW, 3)

    def quiet():
        """What the first report would give is there before the second one."""
        before, count = len(frames(sub)), len(sub.now(lambda m: m.topic.endswith("/position")))
        unit.send(v1(IDENT))
        unit.receive_until(b"#")
        unit.send(v1(IDENT))
        sub.on(f"trackers/{IDENT}/position", count + 2)
        return len(frames(sub)) == before

    wait_for(quiet, "the end")
    unit.close()


def test_what_is_refused(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    bad = ["", "2h", "10", "for ever", "\0", "x" * 10000, "-1s"]
    for n, payload in enumerate(bad, 1):
        sub.publish(f"{RAW}/set", payload)
        assert "a duration from 0 to 1h" in answers(sub, n)[-1]["error"]
    sub.publish(f"{RAW}/set", "10m", retain=True)
    assert "retained" in answers(sub, len(bad) + 1)[-1]["error"]
    sub.publish("trackers/a-b/raw/set", "10m")
    wait_for(lambda: "1 to 20 letters or digits" in bridge.log(), "the ident")
    assert f"raw/set for unit {IDENT} is refused: 2h is not allowed; allowed: a duration from 0 to 1h" in bridge.log()
    count = len(answers(sub, 1))
    assert bridge.stop() == 0
    bridge.start()  # what the broker has kept comes again
    bridge.wait_connected()
    assert "retained" in answers(sub, count + 1)[-1]["error"]
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    sub.on(f"trackers/{IDENT}/position")
    assert not frames(sub)
    unit.close()


def test_without_commands_nobody_asks(make_bridge, subscribe):
    bridge = make_bridge({"commands": {"enabled": "no"}})
    bridge.wait_connected()
    sub = subscribe()
    sub.publish(f"{RAW}/set", "10m")
    unit = Unit(bridge.port)
    unit.send(v1(IDENT))
    sub.on(f"trackers/{IDENT}/position")
    assert not sub.now(lambda m: m.topic == RAW)
    unit.close()


def test_several_bridges(make_bridge, subscribe):
    """Asked for at all, published by the one that has the unit, also when it moves."""
    north, south = two(make_bridge)
    sub = subscribe()
    sub.publish(f"{RAW}/set", "10m")
    assert sorted(a["instance"] for a in answers(sub, 2)) == ["north", "south"]
    for n, bridge in enumerate((north, south), 1):
        unit = Unit(bridge.port)
        unit.send(v1(IDENT, f"00000{n}"))
        unit.receive_until(b"#")
        sub.on(RAW, 2 + 2 * n)
        unit.close()


def test_watch_tells(make_bridge, subscribe, broker):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    watch = subprocess.Popen([BUILD / "tracker2mqtt-watch", "-h", "127.0.0.1", "-p", str(broker.port), "-C", "2", IDENT],
                             stdout=subprocess.PIPE, text=True)

    def asked():
        sub.publish(f"{RAW}/set", "10m")
        return watch.poll() is not None

    wait_for(asked, "both lines")
    assert "each frame until" in watch.stdout.read()
