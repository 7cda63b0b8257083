# SPDX-License-Identifier: MIT
"""Two bridges with one broker and one prefix behave as etc/doc/several-bridges.md says."""

import subprocess

from conftest import BUILD, Unit, free_port, v1

COMMAND = "trackers/9170503816/cmd"


def two(make_bridge):
    bridges = [make_bridge({"publish": {"instance": name, "channel_id": number, "stats_interval": "1s"}})
               for number, name in enumerate(("north", "south"), 1)]
    for bridge in bridges:
        bridge.wait_connected()
    return bridges


def test_each_has_its_own_topics_and_marks_its_records(make_bridge, subscribe):
    sub = subscribe()
    north, south = two(make_bridge)
    for name in ("north", "south"):
        sub.on(f"trackers/bridge/{name}/status", where=lambda m: m.payload == b"online")
        sub.on(f"trackers/bridge/{name}/stats")
    for number, bridge in enumerate((north, south), 1):
        unit = Unit(bridge.port)
        unit.send(v1(f"917050381{number}"))
        (record,) = sub.on(f"trackers/917050381{number}/position")
        assert record.record["channel.id"] == number
        (status,) = sub.on(f"trackers/917050381{number}/status")
        assert status.record["instance"] == ("north", "south")[number - 1]
        unit.close()


def test_both_get_a_command_and_the_one_that_has_the_unit_sends_it(make_bridge, subscribe):
    sub = subscribe()
    north, _ = two(make_bridge)
    unit = Unit(north.port)
    unit.send(v1("9170503816"))
    sub.on("trackers/9170503816/position")
    unit.receive_until(b"#")
    sub.publish(COMMAND, '{"command":"mileage.request","id":"a1"}')
    unit.receive_until(b",S")
    replies = sub.on(COMMAND + "/reply", 2, where=lambda m: m.record["status"] in ("sent", "offline"))
    assert sorted(m.record["status"] for m in replies) == ["offline", "sent"], "the other one knows no such unit"
    unit.close()


def test_two_bridges_do_not_share_an_outbox(make_bridge, tmp_path):
    first = make_bridge()
    ini = tmp_path / "second.ini"
    ini.write_text(f"[listen]\ntcp = 127.0.0.1:{free_port()}\nudp =\n[mqtt]\nport = {first.sections['mqtt']['port']}\n"
                   f"[outbox]\npath = {first.directory}/outbox\n")
    done = subprocess.run([BUILD / "tracker2mqtt", "-c", ini], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2, done.stderr
