# SPDX-License-Identifier: MIT
"""scripts/soak situations: one bridge and a broker whose nodes die; then three bridges that are one fleet, each situation a row."""

import calendar
import re
import subprocess
import threading
import time

from beds import make_bed
from cluster import client
from conftest import BUILD, Bridge, Message, Unit, free_port, v1, wait_for
from fleet import ENDS, Fleet, Gate, Redis, end, order, replies, status
from hostile import table

SOS, CALM = "FFFFFBFD", "FFFFFBFF"


class Ear:
    """All that is published, as the tests' Subscriber has it, but with MQTT 3.1.1."""

    def __init__(self, port, account, topics=("trackers/#", "homeassistant/#")):
        self.messages, ready, self.client = [], threading.Event(), client(f"ear-{free_port()}", account)
        self.came, self.known = [], set()  # when something came that had not come before: a broker may deliver again what was acknowledged
        self.client.on_message = self.on_message
        self.client.on_connect = lambda c, *a: c.subscribe([(topic, 1) for topic in topics])
        self.client.on_subscribe = lambda *a: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(30)

    def on_message(self, client, userdata, message):
        if (key := (message.topic, message.payload)) not in self.known:
            self.known.add(key)
            self.came.append(time.monotonic())
        self.messages.append(Message(message))

    def publish(self, topic, payload):
        self.client.publish(topic, payload, 1).wait_for_publish()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def retained(ports, account, topic):
    """On each node: instance and state or place of what is retained there; None: nothing."""
    found = []
    for port in ports:
        ear = Ear(port, account, (topic,))
        time.sleep(0.7)
        found.append(ear.messages[-1].record if ear.messages else None)
        ear.close()
    return found


# --- one bridge ---

def client_points(bed, directory):
    """The bridge is at a node that is killed while reports come in; the list of hosts names the others."""
    ear, rows = Ear(bed.ports[0], bed.account), []
    hosts = bed.ports[1:] + bed.ports[:1]
    (directory / "one").mkdir()
    began = time.monotonic()
    named = ", ".join(f"127.0.0.1:{port}" for port in hosts) if len(hosts) > 1 else "127.0.0.1"
    bridge = Bridge(directory / "one", hosts[0], {"mqtt": {"host": named, "port": hosts[0], **bed.options}})
    wait_for(lambda: "connected to broker" in bridge.log(), "the connection", 60)
    rows.append(("connected after, s", f"{time.monotonic() - began:.1f}"))
    told = [line.split(": ", 1)[1] for line in bridge.log().splitlines() if "3.1.1" in line]
    rows.append(("lines about the version", f"{len(told)}" + (f": {told[0][:150]}" if told else "")))
    bare = Bare(bed, hosts)
    unit = Asked(bridge.port, "9170503816", ear)
    rows.append(("command answered after, ms", f"{unit.ask() * 1000:.0f}"))
    record = directory / "record"
    sim = subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{bridge.port}", "-n", "200", "-i", "1", "-r", "30", "--ident",
                            "9170600001", "--record", record], stdout=subprocess.DEVNULL)
    time.sleep(6)
    lines, killed, at = len(bridge.log().splitlines()), time.monotonic(), time.time()
    bare.begin()
    kill_and_start(bed)
    back = unit.ask()
    sim.wait(120)
    acknowledged = {tuple(line.split()[:2]) for line in record.read_text().splitlines()}

    def missing():
        here = {(m.topic.split("/")[1], re.search(rb'"timestamp":(\d+)', m.payload)[1].decode()) for m in list(ear.messages)
                if m.topic.endswith("/position")}
        return acknowledged - here
    try:
        wait_for(lambda: not missing(), "all records", 40)
    except AssertionError:
        pass
    came = [t for t in ear.came if t > killed - 1]
    gap = max((b - a for a, b in zip(came, came[1:])), default=0)
    noted = [line for line in bridge.log().splitlines()[lines:] if "unit " not in line]
    again = [calendar.timegm(time.strptime(line[:19], "%Y-%m-%dT%H:%M:%S")) + float(line[19:23]) for line in noted if "connected to broker" in line]
    rows += [("its node killed: connected again after, s", f"{again[0] - at:.2f}" if again else "never"),
             ("  a bare mosquitto_pub to the same list has published after, s", f"{bare.waited():.2f}"), ("  longest gap of records, s", f"{gap:.2f}"), ("  acknowledged, missing", f"{len(acknowledged)}, {len(missing())}"),
             ("  command answered again after, s", f"{back:.2f}"), ("  lines of the log meanwhile", f"{len(noted)}")]
    rows += [("    ", line.split(" ", 1)[1][:150]) for line in noted[:8]]
    unit.car.close()
    bridge.stop()
    ear.close()
    return rows


class Bare:
    """mosquitto_pub with a session of its own on the node that is going to die, then to the other nodes in turn: what any client waits for."""

    def __init__(self, bed, hosts):
        self.bed, self.hosts, self.published = bed, hosts, None
        assert self.publish(hosts[0])

    def publish(self, port):
        account = ["-u", self.bed.account[0], "-P", self.bed.account[1]] if self.bed.account else []
        return subprocess.run(["mosquitto_pub", "-p", str(port), "-V", "mqttv311", "-i", "bare", "-c", "-q", "1", "-t", "bare", "-m", "x", *account],
                              stderr=subprocess.DEVNULL, timeout=60).returncode == 0

    def begin(self):
        self.start, self.thread = time.monotonic(), threading.Thread(target=self.again)
        self.thread.start()

    def again(self):
        time.sleep(0.1)  # the node is dead by then
        n = 1
        while not self.publish(self.hosts[n % len(self.hosts)]):
            time.sleep(0.1)
            n += 1
        self.published = time.monotonic()

    def waited(self):
        self.thread.join(60)
        return self.published - self.start if self.published else float("inf")


def kill_and_start(bed):
    """A node for ten seconds; the only one for a second."""
    if len(bed.ports) > 1:
        bed.kill(1)
        threading.Timer(10, lambda: bed.start(1)).start()
    else:
        bed.broker.stop()  # it keeps what subscribers have not got
        time.sleep(1)
        bed.broker.start()


class Asked:
    """A unit, and how long it takes until it has obeyed."""

    def __init__(self, port, ident, ear):
        from fleet import Car
        self.car, self.ear, self.count = Car(port, ident), ear, 0

    def ask(self, patience=60):
        start, first = time.monotonic(), self.count + 1
        while time.monotonic() < start + patience:
            self.count += 1
            try:
                order(self.ear, self.car.ident, f"q{self.count}", timeout=2)
            except (RuntimeError, ValueError):
                pass
            until = time.monotonic() + 2
            while time.monotonic() < until:
                if any("answered" in replies(self.ear, self.car.ident, f"q{n}") for n in range(first, self.count + 1)):
                    return time.monotonic() - start
                time.sleep(0.005)
        return float("inf")


# --- three bridges ---

class Scene:
    def __init__(self, bed, directory):
        self.bed, self.directory, self.count = bed, directory, 0
        (directory / "redis").mkdir()
        (directory / "units.ini").write_text("[9170509015]\nname = Van\n")
        self.redis, self.gate = Redis(directory / "redis"), Gate(bed.ports[0])
        self.fleet = Fleet(directory, bed, self.redis, "", options={
            "mqtt": {"host": "127.0.0.1", **bed.options}, "homeassistant": {"discovery": "yes"},
            "units": {"file": directory / "units.ini", "return": "2s"}})
        for n, name in enumerate("abc"):
            port = self.gate.port if name == "a" else bed.ports[n % len(bed.ports)]
            self.fleet.add(name, port=port, mqtt={"host": "127.0.0.1", "port": port, **bed.options})
        self.fleet.wait_router()
        time.sleep(2)
        self.ear = Ear(bed.ports[-1], bed.account)

    def car(self, at, ident, **more):
        car = self.fleet.car(at, ident, **more)
        self.fleet.wait_has(at, ident)
        return car

    def end(self, ident, id, more=1.0):
        end(self.ear, ident, id)
        time.sleep(more)
        return replies(self.ear, ident, id)

    def online(self, ident, at):
        wait_for(lambda: status(self.ear, ident).get("state") == "online" and status(self.ear, ident)["instance"] == at, f"{ident} on line at {at}")

    def close(self):
        self.ear.close()
        self.fleet.close()
        self.gate.close()
        self.redis.stop()


def s01(s):
    "a command to a unit at a: sent, answered; executed once"
    car = s.car("a", "9170509001")
    order(s.ear, car.ident, "x")
    return s.end(car.ident, "x"), len(car.executed), ["sent", "answered"], 1


def s02(s):
    "an invalid command: rejected once"
    order(s.ear, "9170509001", "y", command="no.such.command")
    return s.end("9170509001", "y"), 0, ["rejected"], 0


def s03(s):
    "a unit that is nowhere: offline once"
    order(s.ear, "9170509003", "x")
    return s.end("9170509003", "x", 2), 0, ["offline"], 0


def s04(s):
    "hold 20 s, the unit moves a, b, c: executed once"
    cars = [s.car("a", "9170509004")]
    order(s.ear, "9170509004", "h", hold=20)
    end(s.ear, "9170509004", "h")
    cars += [s.car(name, "9170509004") for name in "bc"]
    return s.end("9170509004", "h", 2), sum(len(c.executed) for c in cars), ["sent", "answered"], 1


def s05(s):
    "hold 6 s, the unit comes to b: held, sent, answered; nothing more"
    order(s.ear, "9170509005", "h", hold=6)
    wait_for(lambda: replies(s.ear, "9170509005", "h"), "held")
    car = s.car("b", "9170509005")
    return s.end("9170509005", "h", 7), len(car.executed), ["held", "sent", "answered"], 1


def s06(s):
    "the unit moves a to b, a's connection half open: b's online stays, a closes its connection"
    old = s.car("a", "9170509006")
    new = s.car("b", "9170509006")
    s.online("9170509006", "b")
    order(s.ear, "9170509006", "x")
    told = s.end("9170509006", "x", 2)
    now = status(s.ear, "9170509006")
    return told + [now["state"], now["instance"]], (len(new.executed), old.closed.is_set()), ["sent", "answered", "online", "b"], (1, True)


def s07(s):
    "a is killed and starts again without the unit: offline"
    s.car("a", "9170509007").close()
    car = s.fleet.car("a", "9170509008")
    s.fleet.wait_has("a", car.ident)
    s.online(car.ident, "a")
    s.fleet.kill("a")
    car.close()
    s.fleet.bridges["a"].start()
    wait_for(lambda: status(s.ear, car.ident).get("state") == "offline", "offline", 20)
    there = [c.ident for c in s.fleet.cars if status(s.ear, c.ident).get("instance") == "a"]  # those that were at a before

    def wrong():
        return [ident for ident in there if status(s.ear, ident)["state"] == "online" and not s.fleet.has("a", ident)]
    try:
        wait_for(lambda: not wrong(), "the others", 20)
    except AssertionError:
        pass
    return status(s.ear, car.ident)["state"], wrong(), "offline", []


def s08(s):
    "a is cut off, its unit goes to b; a's link returns: all arrive, b's place and status stay"
    ident = "9170509009"
    old = s.car("a", ident, time="120000")
    s.online(ident, "a")
    s.gate.shut()
    for n in range(5):
        old.report(time=f"12000{n + 1}")
    time.sleep(0.5)
    s.car("b", ident, time="120100")
    s.online(ident, "b")
    old.closed.wait(5)
    s.gate.open()

    def all_came():
        return {m.record["timestamp"] for m in s.ear.messages if m.topic == f"trackers/{ident}/position"}
    wait_for(lambda: len(all_came()) == 7, "all records", 30)
    time.sleep(1)
    # a broker that keeps what is retained on the publisher's node alone has there what a said before it was cut off, and nothing newer of it
    before = min(m.record["timestamp"] for m in s.ear.messages if m.topic == f"trackers/{ident}/position") if s.bed.local else None
    places = {p["server.instance"] for p in retained(s.bed.ports, s.bed.account, f"trackers/{ident}/position")
              if p and (p["server.instance"], p["timestamp"]) != ("a", before)}
    states = {(p["state"], p["instance"]) for p in retained(s.bed.ports, s.bed.account, f"trackers/{ident}/status")
              if p and not (s.bed.local and p["session"] < status(s.ear, ident)["session"] and p["state"] == "online")}
    now = status(s.ear, ident)
    return (now["state"], now["instance"]), (sorted(places), sorted(states)), ("online", "b"), (["b"], [("online", "b")])


def s09(s):
    "SOS at a, on at b, off at b, SOS again at a: the new SOS is told; the lasting one at most twice"
    ident = "9170509010"

    def alarms():
        return len([m for m in s.ear.messages if m.topic == f"trackers/{ident}/alarm"])
    a = s.car("a", ident, time="120000")
    a.report("120001", SOS)
    wait_for(alarms, "the first alarm")
    b = s.car("b", ident, time="120002")
    b.report("120003", SOS)
    time.sleep(1)
    lasting = alarms()
    b.report("120004", CALM)
    time.sleep(0.5)
    a = s.car("a", ident, time="120005")
    time.sleep(0.3)
    a.report("120006", SOS)
    time.sleep(2)
    return alarms() - lasting, lasting <= 2, 1, True


def s10(s):
    "server.instance and server.seqnum name each record of all that came"
    names = {}
    for m in list(s.ear.messages):
        if m.topic.endswith(("/position", "/telemetry")):
            r = m.record
            if "server.instance" in r:
                names.setdefault((r["server.instance"], r["server.seqnum"]), set()).add(m.payload)
    return max(map(len, names.values())), len(names) > 20, 1, True


def s11(s):
    "a second process with a's name: refused, with what to do"
    a = s.fleet.bridges["a"]
    ini = a.path.read_text().replace(str(a.port), str(free_port())).replace(f"{s.directory}/a/outbox", f"{s.directory}/second")
    (s.directory / "second.ini").write_text(ini)
    done = subprocess.run([BUILD / "tracker2mqtt", "-c", s.directory / "second.ini"], capture_output=True, text=True, timeout=60)
    return done.returncode, "[publish] instance" in done.stderr, 2, True


def alternate(s, ident, answers):
    units, got = {name: Unit(s.fleet.bridges[name].port, "udp") for name in "ab"}, []
    for unit in units.values():
        unit.socket.settimeout(0.1)
    for n in range(24):
        name = "ab"[n % 2]
        units[name].send(v1(ident, time=f"1235{n:02}"))
        for unit in units.values():
            try:
                data = unit.socket.recv(4096)
            except OSError:
                continue
            for words in re.findall(rb"\*HQ,\d+,((?:S|R1)[^#]*)#", data):
                if not words.startswith(b"R12"):
                    got.append(words)
                    units[answers or name].send(f"*HQ,{ident},V4,{words.decode()}#")
        if n == 10:
            order(s.ear, ident, "x", timeout=4)
    for unit in units.values():
        unit.close()
    return s.end(ident, "x"), len(got)


def s12(s):
    "UDP, datagrams at a and b in turn: executed at most once, one end"
    told, executed = alternate(s, "9170509012", None)
    return sum(t in ENDS for t in told), executed <= 1, 1, True


def s13(s):
    "the same, answers go to b only: one end"
    told, executed = alternate(s, "9170509013", "b")
    return sum(t in ENDS for t in told), executed <= 1, 1, True


def s14(s):
    "a frozen for 6 s, its unit goes to b: nothing from a afterwards"
    ident = "9170509014"
    s.car("a", ident)
    s.online(ident, "a")
    s.fleet.freeze("a")
    new = s.car("b", ident)
    s.online(ident, "b")
    order(s.ear, ident, "x", timeout=5)
    told = s.end(ident, "x", 4)
    since = len(s.ear.messages)
    s.fleet.freeze("a", False)
    time.sleep(4)
    said = [m for m in s.ear.messages[since:] if m.topic in (f"trackers/{ident}/status", f"trackers/{ident}/cmd/reply") and
            (m.topic.endswith("reply") or m.record["instance"] != "b" or m.record["state"] != "online")]
    return told, (len(new.executed), len(said)), ["sent", "answered"], (1, 0)


def s14_over(s):
    for name in "abc":
        if s.fleet.bridges[name].process.poll() is None:
            s.fleet.freeze(name, False)


def s15(s):
    "Home Assistant starts again after the move a to b: only b tells of the unit"
    ident = "9170509015"
    s.car("a", ident)
    s.online(ident, "a")
    s.car("b", ident)
    s.online(ident, "b")
    time.sleep(1)
    since = len(s.ear.messages)
    s.ear.publish("homeassistant/status", "online")
    wait_for(lambda: [m for m in s.ear.messages[since:] if m.topic.endswith("/config")], "discovery")
    time.sleep(2)
    configs = [m for m in s.ear.messages[since:] if m.topic.endswith("/config") and m.payload]
    return bool(configs), sum(b"bridge/a/status" in m.payload for m in configs), True, 0


def situations(args, directory):
    bed = make_bed(args.broker, directory / "broker", args.nodes)
    bed.port = bed.ports[0]
    if not args.only or "one" in args.only:
        print(f"one bridge, {args.broker} x {len(bed.ports)}")
        table(client_points(bed, directory))
        if args.only == ["one"]:
            bed.close()
            return 0
        time.sleep(8)  # the node that was killed is back
    scene, wrong = Scene(bed, directory), 0
    print(f"\nthree bridges, one fleet, {args.broker} x {len(bed.ports)}, lease {scene.fleet.lease}")
    plays = (s01, s02, s03, s04, s05, s06, s08, s09, s10, s11, s12, s13, s14, s15, s07)
    for play in [p for p in plays if not args.only or p.__name__ in args.only]:
        try:
            got, also, should, and_also = play(scene)
            right, seen = (got, also) == (should, and_also), f"{got}, {also}"
        except AssertionError as e:
            right, seen = False, str(e)[:150]
        s14_over(scene)
        wrong += not right
        print(f"{play.__name__}  {'right' if right else 'WRONG'}  {play.__doc__}: {seen}", flush=True)
    if wrong:
        for name, bridge in scene.fleet.bridges.items():
            lines = [line for line in bridge.log().splitlines() if "unit " not in line]
            print(f"{name}:", *lines[-args.show:], sep="\n  ")
    scene.close()
    bed.close()
    return wrong
