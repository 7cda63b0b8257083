# SPDX-License-Identifier: MIT
"""Units come, report, share connections, move and leave; topics, retained messages and status say so."""

import calendar
import signal
import time

from conftest import Subscriber, Unit, v1, wait_for


def test_a_unit_over_each_transport(make_bridge, subscribe):
    bridge = make_bridge(ipv6=True)
    bridge.wait_connected()
    sub = subscribe()
    for n, (transport, host) in enumerate([("tcp", "127.0.0.1"), ("udp", "127.0.0.1"), ("tcp", "::1"), ("udp", "::1")]):
        ident = f"917050381{n}"
        unit = Unit(bridge.port, transport, host)
        unit.send(v1(ident))
        ack = unit.receive()
        assert ack.startswith(f"*HQ,{ident},V4,V1,2".encode()) and ack.endswith(b"#") and len(ack) == 36
        record = sub.on(f"trackers/{ident}/position")[0].record
        assert record["peer"] == unit.peer and record["protocol.id"] == "h02"
        status = sub.on(f"trackers/{ident}/status")[0]
        assert status.retain and status.record["state"] == "online"
        assert status.record["transport"] == transport and status.record["peer"] == unit.peer
        assert status.record["instance"] == "test" and status.record["protocol"] == "h02"
        unit.close()
        if transport == "tcp":
            gone = sub.on(f"trackers/{ident}/status", 2)[1]
            assert gone.retain and gone.record["state"] == "offline" and gone.record["reason"]


def test_the_newest_position_is_retained_and_older_ones_are_not(make_bridge, subscribe, broker):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    for n, clock in enumerate(("100000", "100200", "100100", "100300")):  # one by one: of those that wait only the last is retained
        unit.send(v1("9170503816", clock))
        got = sub.on("trackers/9170503816/position", n + 1)
    assert [m.retain for m in got] == [True, True, False, True]
    late = Subscriber(broker.port)
    retained = late.on("trackers/9170503816/position")[0]
    assert retained.record["timestamp"] == calendar.timegm((2016, 12, 13, 10, 3, 0))
    late.close()
    unit.close()


def test_retain_can_be_switched_off(make_bridge, subscribe):
    bridge = make_bridge({"publish": {"retain": "no"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    assert not sub.on("trackers/9170503816/position")[0].retain
    unit.close()


def test_an_alarm_is_published_when_it_is_new(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    for clock, status in (("100000", "FFFFFBFF"), ("100100", "FFFFFBFD"), ("100200", "FFFFFBFD"),
                          ("100300", "FFFFFBFF"), ("100400", "EFFFFBF9")):
        unit.send(v1("9170503816", clock, status=status))
        if clock == "100100":
            unit.send("*HQ,9170503816,HTBT#")
    sub.on("trackers/9170503816/position", 5)
    alarms = sub.on("trackers/9170503816/alarm", 2)
    assert [m.record["alarms"] for m in alarms] == [
        ["sos.alarm"], ["sos.alarm", "power.cut.alarm", "overspeeding.event"]]
    first = sub.on("trackers/9170503816/position", 5)[1].record
    record = alarms[0].record
    del record["alarms"]
    assert record == first and not alarms[0].retain
    assert len(sub.now(lambda m: m.topic.endswith("/alarm"))) == 2
    unit.close()


def test_units_that_share_a_connection(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816") + v1("9170503817") + v1("9170503816", "123507"))
    sub.on("trackers/9170503816/position", 2)
    sub.on("trackers/9170503817/position")
    unit.receive_until(b"*HQ,9170503817,V4,V1,")
    sub.publish("trackers/9170503816/cmd", "S20,000000,1,1")
    assert unit.receive_until(b"S20").endswith(b"*HQ,9170503816,S20,000000,1,1#")
    unit.close()
    for ident in ("9170503816", "9170503817"):
        sub.on(f"trackers/{ident}/status", where=lambda m: m.record["state"] == "offline")


def test_the_newest_session_of_an_ident_wins(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    old, new = Unit(bridge.port), Unit(bridge.port)
    old.send(v1("9170503816"))
    old.receive()
    new.send(v1("9170503816", "123600"))
    new.receive()
    assert old.receive() == b""
    sub.publish("trackers/9170503816/cmd", "S20,000000,1,1")
    assert new.receive() == b"*HQ,9170503816,S20,000000,1,1#"
    states = [m.record for m in sub.on("trackers/9170503816/status", 2)]
    assert [s["state"] for s in states] == ["online", "online"] and states[1]["peer"] == new.peer
    new.close()
    old.close()


def test_a_binary_frame_waits_for_quiet_not_for_the_end(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(bytes.fromhex("24410600082621532131081504419390060740418306000000fffffbfdff00"
                            "15060000002c02dc0c000000001f"))
    assert unit.receive().startswith(b"*HQ,4106000826,R12,")
    assert sub.on("trackers/4106000826/position")[0].record["gsm.mcc"] == 732
    unit.close()


def test_half_closed_connection_still_gets_its_answer(make_bridge):
    bridge = make_bridge()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    unit.socket.shutdown(1)
    assert unit.receive().startswith(b"*HQ,9170503816,V4,V1,")
    assert unit.receive() == b""
    unit.close()


def test_acknowledgement_modes(make_bridge):
    answers = {"auto": [b"V4,V1,", b"V4,NBR,", b"HTBT#", b"R12,"], "v4": [b"V4,V1,", b"V4,NBR,", b"HTBT#", b"V4,V5,"],
               "r12": [b"R12,", b"R12,", b"HTBT#", b"R12,"]}
    frames = [v1("9170503816"), "*HQ,9170503816,NBR,160128,712,3,0,1,2006,12943,21,241016,FFFFFBFF,6#",
              "*HQ,9170503816,HTBT,80#", v1("9170503816").replace("V1", "V5")]
    for mode, expected in answers.items():
        bridge = make_bridge({"h02": {"ack": mode}})
        unit = Unit(bridge.port)
        for frame, answer in zip(frames, expected):
            unit.send(frame)
            assert unit.receive().startswith(b"*HQ,9170503816," + answer), (mode, frame)
        unit.close()
        bridge.stop()
    bridge = make_bridge({"h02": {"ack": "off"}})
    unit = Unit(bridge.port)
    for frame in frames:
        unit.send(frame)
    unit.socket.shutdown(1)
    assert unit.receive() == b""
    unit.close()


def test_what_is_never_answered(make_bridge):
    bridge = make_bridge()
    unit = Unit(bridge.port)
    for frame in ("*HQ,9170503816,V4,V1,20240315102030#", "*HQ,9170503816,V4,NBR,20240315102030#",
                  "*HQ,9170503816,R12,102030#", "*HQ,9170503816,SMS,SET OK#", "*HQ,9170503816,XT,1#",
                  "*HQ,9170503816,LINK,180902,15,0,84,0,0,240517,FFFFFBFF#"):
        unit.send(frame)
    unit.socket.shutdown(1)
    assert unit.receive() == b""
    unit.close()


def test_a_date_in_the_future_is_not_believed(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    ahead = time.gmtime(time.time() + 2 * 86400)
    unit.send(v1("9170503816", time.strftime("%H%M%S", ahead), time.strftime("%d%m%y", ahead)))
    record = sub.on("trackers/9170503816/position")[0].record
    assert record["timestamp.valid"] is False and record["timestamp"] == record["server.timestamp"]
    unit.close()


def test_stop_says_goodbye(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    assert sub.on("trackers/bridge/test/status")[0].payload == b"online"
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    unit.receive()
    assert bridge.stop() == 0
    gone = sub.on("trackers/9170503816/status", where=lambda m: m.record["state"] == "offline")[0]
    assert "stops" in gone.record["reason"]
    assert sub.on("trackers/bridge/test/status", where=lambda m: m.payload == b"offline")[0].retain
    unit.close()


def test_the_will_says_offline(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    sub.on("trackers/bridge/test/status")
    bridge.stop(signal.SIGKILL)
    assert sub.on("trackers/bridge/test/status", where=lambda m: m.payload == b"offline")[0].retain


def test_mqtt_3_1_1(make_bridge, subscribe):
    bridge = make_bridge({"mqtt": {"version": 4}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    unit.receive()
    assert sub.on("trackers/9170503816/position")[0].record["ident"] == "9170503816"
    sub.publish("trackers/9170503816/cmd", "R7,000000")
    assert unit.receive() == b"*HQ,9170503816,R7,000000#"
    unit.close()


def test_reload(make_bridge, subscribe):
    bridge = make_bridge()
    bridge.wait_connected()
    sub = subscribe()
    bridge.sections["h02"] = {"ack": "r12"}
    bridge.sections["publish"]["prefix"] = "other"
    bridge.write()
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "prefix changed; it needs a restart" in bridge.log(), "the reload")
    unit = Unit(bridge.port)
    unit.send(v1("9170503816"))
    assert b",R12," in unit.receive()
    sub.on("trackers/9170503816/position")
    bridge.sections["h02"] = {"ack": "loud"}
    bridge.write()
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "nothing is changed" in bridge.log(), "the refusal")
    unit.send(v1("9170503816", "123507"))
    assert b",R12," in unit.receive()
    unit.close()
