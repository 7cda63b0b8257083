# SPDX-License-Identifier: MIT
"""scripts/bench web: what the page costs a browser, and whether it shows all: in a real Chromium, through the bridge, with a real broker."""

import os
import pathlib
import statistics
import subprocess
import time

from browser import Page, start_browser
from conftest import BUILD, Bridge, Broker, Subscriber, free_port, wait_for
from test_web_tunnel import BINARY, Browser, connect_packet, frame, subscribe_packet

UNITS = 10000
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 180
INTO_THE_STORE = """
const [first, count, clock] = arguments, store = globalThis.__page.store, begun = performance.now();
for (let n = first; n < first + count; n++)
  store.take(`trackers/${10000000 + n}/position`, {ident: String(10000000 + n), "protocol.id": "h02", "message.type": "V1", timestamp: clock,
    "server.timestamp": clock + 1, "server.seqnum": n, peer: "203.0.113.4:50112", "position.valid": true, "position.latitude": 35 + (n * 7919 % 20000) / 1000,
    "position.longitude": -10 + (n * 104729 % 40000) / 1000, "position.speed": n % 90, "position.direction": n % 360, "engine.ignition.status": true,
    "battery.level": n % 100}, true, Date.now());
return performance.now() - begun;
"""
MOVES = """
const [units, each, clock] = arguments, store = globalThis.__page.store, map = globalThis.__page.map;
const m = globalThis.__measured = {long: 0, moves: 0, draws: [], begun: performance.now()};
new PerformanceObserver((list) => { for (const e of list.getEntries()) m.long += e.duration; }).observe({entryTypes: ["longtask"]});
let n = 0, drawn = map.counts.drawn;
m.timer = setInterval(() => {
  for (let k = 0; k < each; k++, n++) {
    const id = String(10000000 + n % units);
    store.take(`trackers/${id}/position`, {ident: id, timestamp: clock + 10 + Math.floor(n / units), "position.valid": true,
      "position.latitude": 35 + ((n * 7919 + n) % 20000) / 1000, "position.longitude": -10 + (n * 104729 % 40000) / 1000, "position.speed": 50,
      "position.direction": n % 360}, false, Date.now());
    m.moves++;
  }
  if (map.counts.drawn !== drawn) { drawn = map.counts.drawn; m.draws.push(map.counts.lastMs); }
}, 50);
"""
TIMERS = """
const late = globalThis.__late = [];
let due = performance.now() + 50;
setInterval(() => { const now = performance.now(); late.push(Math.max(0, now - due)); due = Math.max(now, due) + 50; }, 50);
"""


def processes_of(pid):
    """The process and all below it, with their command lines."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            pass
    found, new = {pid}, {pid}
    while new:
        new = {p for p, parent in parents.items() if parent in new} - found
        found |= new
    out = {}
    for p in found:
        try:
            out[p] = pathlib.Path(f"/proc/{p}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            pass
    return out


def cpu_of(page, kind=None):
    """Seconds of Chromium's processes, or of one kind of them."""
    total = 0
    for pid, line in processes_of(page.driver.service.process.pid).items():
        if "chromedriver" in line.split(" ")[0] or (kind and f"--type={kind}" not in line):
            continue
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / TICK
        except OSError:
            pass
    return total


def heap_mib(page):
    page.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    page.driver.execute_cdp_cmd("Performance.enable", {})
    metrics = page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(m["value"] for m in metrics if m["name"] == "JSHeapUsedSize") / (1 << 20)


def in_view(page):
    return page.script("return globalThis.__page?.map?.counts.inView ?? 0")


class Site:
    def __init__(self, directory, root, queued, interval, units=UNITS):
        directory.mkdir()
        self.broker = Broker(directory, f"max_queued_messages {queued}\n")
        (directory / "units.ini").write_text("".join(f"[{9170000001 + n}]\nname = Van {n}\n" for n in range(UNITS)))
        self.port = free_port()
        self.bridge = Bridge(directory, self.broker.port, {
            "web": {"listen": f"127.0.0.1:{self.port}", "root": root}, "units": {"file": directory / "units.ini"}, "log": {"level": "notice"},
            "outbox": {"sync": "never"}, "publish": {"stats_interval": "2s"}})
        self.bridge.wait_connected()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.load = subprocess.Popen([BUILD / "tracker2mqtt-sim", "-s", f"127.0.0.1:{self.bridge.port}", "-n", str(units), "-i", str(interval),
                                      "--spread", "10", "--ack-timeout", "60"], stdout=subprocess.DEVNULL)
        stats = Subscriber(self.broker.port, "trackers/bridge/+/stats")
        stats.wait(lambda m: m.record["units.online"] == units and m.record["outbox.messages"] < 3000, "all units", patience=PATIENCE)
        stats.close()

    def retained(self, *filters, packed=False):
        """Topics that come until it is quiet, and the bytes of WebSocket's payload before and on the wire."""
        b = Browser(self.port, {"Sec-WebSocket-Extensions": "permessage-deflate"} if packed else {})
        b.send(frame(connect_packet(client=os.urandom(6).hex())))
        pieces = []
        for name in filters:
            b.send(frame(subscribe_packet(name)))
        b.socket.settimeout(2)
        end = time.monotonic() + 20
        try:
            while time.monotonic() < end:
                kind, payload = b.receive()
                assert kind == BINARY, payload
                pieces.append(payload)
        except TimeoutError:
            pass
        data = b"".join(pieces)
        b.socket.close()
        topics, at = set(), 0
        while at + 2 <= len(data):  # whole MQTT packets
            length, shift, i = 0, 0, at + 1
            while True:
                byte = data[i]
                length |= (byte & 127) << shift
                shift, i = shift + 7, i + 1
                if byte < 128:
                    break
            if data[at] >> 4 == 3 and i + length <= len(data):
                size = int.from_bytes(data[i:i + 2], "big")
                topics.add(data[i + 2:i + 2 + size])
            at = i + length
        return topics, len(data), b.wire

    def close(self):
        self.load.kill()
        self.load.wait()
        self.bridge.stop()
        self.broker.stop()


class Alone(Page):
    """In a browser of its own: all that Chromium uses is this page's."""

    def __init__(self, directory):
        super().__init__(start_browser(directory, requests=False))
        self.driver.set_script_timeout(PATIENCE)

    def close(self):
        self.driver.quit()


def open_logged_in(site, directory):
    page = Alone(directory)
    page.open(site.url, None)
    page.find('input[name="username"]').send_keys("viewer")
    page.find('input[name="password"]').send_keys("secret")
    time.sleep(1)
    before = cpu_of(page, "renderer"), cpu_of(page), time.monotonic()
    page.click('button[type="submit"]')
    return page, before


def retained_units(directory, root):
    rows = []
    for queued in (100000, 1000):
        site = Site(directory / f"retained{queued}", root, queued, 3600)
        page, before = open_logged_in(site, directory / f"chromium{queued}")
        if queued > UNITS:
            wait_for(lambda p=page: in_view(p) == UNITS, "all units on the map", PATIENCE)
            taken = time.monotonic() - before[2]
            renderer, all_ = cpu_of(page, "renderer") - before[0], cpu_of(page) - before[1]
            rows += [("10,000 retained units: on the map", in_view(page), f"{UNITS}"),
                     ("  from the click to all of them, s", f"{taken:.1f}", ""),
                     ("  renderer's CPU, s; all processes of Chromium, s", f"{renderer:.1f}; {all_:.1f}", "at most 3"),
                     ("  banners", page.text(".banners").replace("\n", " | ") or "none", "none")]
            for name, filters in (("states", ["trackers/+/state"]), ("states, statuses, positions", [
                    "trackers/+/status", "trackers/+/state", "trackers/+/position"])):
                _, plain, _ = site.retained(*filters)
                _, data, wire = site.retained(*filters, packed=True)
                rows.append((f"  bytes of the {name}: plain, compressed, ratio", f"{plain / 1e6:.2f} MB, {wire / 1e6:.2f} MB, {data / wire:.0f}", ""))
        else:
            wait_for(lambda p=page: in_view(p) == UNITS or p.all('[data-banner="missing"]'), "all units, or the banner", PATIENCE)
            time.sleep(10)
            rows += [("the broker's default of 1,000 queued messages: on the map; with a status", " ".join(str(n) for n in page.script(
                "const u = [...__page.store.units.values()]; return [u.filter((x) => x.x !== null).length, u.filter((x) => x.instance).length]")), f"{UNITS}"),
                     ("  banner", page.text(".banners") or "none", "when some are missing: names max_queued_messages and the number")]
        page.close()
        site.close()
    return rows


def steady(directory, root, seconds):
    site = Site(directory / "steady", root, 100000, UNITS / 1000)
    page, _ = open_logged_in(site, directory / "chromium-steady")
    wait_for(lambda: in_view(page) == UNITS, "all units on the map", PATIENCE)
    time.sleep(10)
    page.script(TIMERS)
    heap, before, version, begun = heap_mib(page), cpu_of(page), page.script("return globalThis.__page.store.version"), time.monotonic()
    bridge = site.bridge.cpu_seconds()
    time.sleep(seconds)
    lasted = time.monotonic() - begun
    used, own = (cpu_of(page) - before) / lasted * 100, (site.bridge.cpu_seconds() - bridge) / lasted * 100
    late = sorted(page.script("return globalThis.__late"))
    messages = (page.script("return globalThis.__page.store.version") - version) / lasted
    grown = heap_mib(page) - heap
    rows = [(f"1,000 reports a second, 10,000 units, {seconds:.0f} s: messages a second in the page", f"{messages:.0f}", ""),
            ("  Chromium, all processes, % of a core", f"{used:.0f}", "at most 30"),
            ("  heap at the begin, grown by, MiB", f"{heap:.0f}, {grown:.1f}", "grown by less than 10"),
            ("  timers of 50 ms late by, median, 99 %, ms", f"{statistics.median(late):.0f}, {late[int(len(late) * .99)]:.0f}", "99 % below 100"),
            ("  bridge, % of a core", f"{own:.0f}", "")]
    page.close()
    site.close()
    return rows


def many(site, directory, seconds=20):
    """Without a broker's help: records go into the page's own store."""
    page, _ = open_logged_in(site, directory)
    wait_for(lambda: page.script("return !!globalThis.__page?.map"), "the map", PATIENCE)
    clock = int(time.time())
    taken = sum(page.script(INTO_THE_STORE, first, 10000, clock) for first in range(0, 100000, 10000))
    page.script("globalThis.__page.map.fit(); globalThis.__page.map.refresh()")
    wait_for(lambda: page.script("return globalThis.__page.map.counts.placed") >= 100000, "all of them", PATIENCE)
    draws = []
    for _ in range(20):
        drawn = page.script("const c = globalThis.__page.map.counts; globalThis.__page.map.refresh(); return c.drawn")
        wait_for(lambda d=drawn: page.script("return globalThis.__page.map.counts.drawn") > d, "a draw", PATIENCE)
        draws.append(page.script("return globalThis.__page.map.counts.lastMs"))
    page.script(MOVES, 100000, 250, clock)
    time.sleep(seconds)
    m = page.script("clearInterval(globalThis.__measured.timer); const m = globalThis.__measured; return {...m, lasted: performance.now() - m.begun}")
    page.close()
    return [("100,000 units into the store, s", f"{taken / 1000:.1f}", ""),
            ("  a draw of all, median, longest, ms", f"{statistics.median(draws):.1f}, {max(draws):.1f}", "at most 30"),
            ("  moves a second", f"{m['moves'] / m['lasted'] * 1000:.0f}", "5,000"),
            ("  draws meanwhile, median, longest, ms", f"{statistics.median(m['draws']):.1f}, {max(m['draws']):.1f}" if m["draws"] else "-", "at most 30"),
            ("  in long tasks, % of the time", f"{m['long'] / m['lasted'] * 100:.1f}", "below 5")]


def measure(directory, root, seconds):
    """Rows, one after the other."""
    yield from retained_units(directory, root)
    yield from steady(directory, root, seconds)
    site = Site(directory / "many", root, 100000, 3600, 1)
    yield from many(site, directory / "chromium-many")
    site.close()
