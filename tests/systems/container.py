#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Carries out the steps of etc/container in Debian roots, for want of an engine, and runs what came of them.

usage: tests/systems/container.py BASE WORK     (as root; scripts/test-systems calls it)
  BASE  a Debian root (debootstrap), in place of the image debian:…-slim; it stays as it is
  WORK  a directory for the stages; what is in it is deleted

Each stage is a copy of BASE or of an earlier stage; COPY copies, RUN runs in it by chroot. Then, on a loopback network of their own, the
broker of compose.yaml with its mosquitto.conf (Debian's mosquitto), the bridge as the image says (user, environment, command, health)
with what compose.yaml adds, and the simulator; the same with the add-on of Home Assistant and its standard options.
Not tried: an engine, its networks and volumes, image layers, the images debian:slim and eclipse-mosquitto, the Supervisor.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "etc/container"
PATIENCE = 60  # seconds; a limit, never a measure
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def say(*words):
    print(*words, flush=True)


def steps_of(path):
    """(word, rest) of each line, continued lines joined, comments left out."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    return [tuple(line.split(None, 1)) for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]


def chroot(root, command, user=None, folder="/", environment=None, **kw):
    """In the root, with /proc and /dev of its own mounts, and processes that end with the command."""
    script = ('mount --make-rprivate /; mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; root=$0; shift 0; '
              'exec chroot ${T2M_USER:+--userspec=$T2M_USER} "$root" /usr/bin/env -C "$T2M_FOLDER" "$@"')
    values = [f"{key}={value}" for key, value in {"PATH": PATH, "HOME": "/root", **(environment or {})}.items()]
    return subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGTERM", "bash", "-ec", script, str(root), "-i", *values, *command],
        env={"PATH": PATH + ":/usr/local/bin", "T2M_USER": user or "", "T2M_FOLDER": folder}, stdin=subprocess.DEVNULL, **kw)


def must(root, command, **kw):
    code = chroot(root, command, **kw).wait()
    if code != 0:
        sys.exit(f"container: {shlex.join(map(str, command))} ended with {code}")


class Image:
    """What a stage is: its root, and what runs in it."""

    def __init__(self, root, parent=None):
        self.root, self.folder = root, "/"
        self.environment = dict(parent.environment) if parent else {}
        self.user = parent.user if parent else None
        self.command = {"ENTRYPOINT": [], "CMD": [], "HEALTHCHECK": [], **(parent.command if parent else {})}
        self.volumes = list(parent.volumes) if parent else []


class Builder:
    def __init__(self, base, work):
        self.base, self.work = base, work
        self.arguments, self.images, self.image = {}, {}, None

    def fill(self, text):
        return re.sub(r"\$\{(\w+)\}", lambda m: self.arguments[m[1]], text)

    def build(self, path, context, arguments=None):
        self.arguments = dict(arguments or {})
        for word, rest in steps_of(path):
            say(f"{path.name}: {word} {rest[:100]}")
            getattr(self, f"do_{word.lower()}")(rest, context)
        return self.image

    def do_arg(self, rest, _):
        name, _, standard = rest.partition("=")
        self.arguments.setdefault(name, standard)

    def do_from(self, rest, _):
        source, *name = re.fullmatch(r"(\S+)(?: AS (\S+))?", rest).groups()
        source = self.fill(source)
        parent = self.images.get(source)
        if parent is None and not re.fullmatch(r"docker\.io/library/debian:\w+-slim", source):
            sys.exit(f"container: FROM {source}: neither debian:…-slim nor a stage")
        root = self.work / f"stage{len(self.images)}"
        subprocess.run(["cp", "-a", "--reflink=auto", parent.root if parent else self.base, root], check=True)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        self.image = self.images[name[0] or str(root)] = Image(root, parent)

    def do_workdir(self, rest, _):
        self.image.folder = rest
        (self.image.root / rest[1:]).mkdir(parents=True, exist_ok=True)

    def do_copy(self, rest, context):
        *sources, target = rest.split()
        if sources[0].startswith("--from="):
            context = self.images[sources.pop(0)[7:]].root
        inside = target if target.startswith("/") else f"{self.image.folder}/{target}"
        into = self.image.root / inside.lstrip("/")
        for source in sources:
            path = context / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, into, dirs_exist_ok=True)
            else:
                to = into / path.name if target.endswith("/") else into
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to)

    def do_run(self, rest, _):
        must(self.image.root, ["/bin/sh", "-c", rest], user=self.image.user if self.image.user != "root" else None,
             folder=self.image.folder, environment=self.image.environment)

    def do_env(self, rest, _):
        self.image.environment.update(item.split("=", 1) for item in shlex.split(rest))

    def do_user(self, rest, _):
        self.image.user = rest

    def do_volume(self, rest, _):
        self.image.volumes.append(rest)

    def do_expose(self, rest, _):
        for port in rest.split():
            assert re.fullmatch(r"\d+/(tcp|udp)", port), port

    def do_command(self, word, rest):
        self.image.command[word] = json.loads(rest)
        if word == "ENTRYPOINT":
            self.image.command["CMD"] = []

    def do_entrypoint(self, rest, _):
        self.do_command("ENTRYPOINT", rest)

    def do_cmd(self, rest, _):
        self.do_command("CMD", rest)

    def do_healthcheck(self, rest, _):
        self.do_command("HEALTHCHECK", re.sub(r"^(--\S+ )*CMD ", "", rest))


def read_yaml(root, path):
    """By the yaml of a root: this machine may have none."""
    process = chroot(root, ["/usr/bin/python3", "-c", "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))",
                            path.read_text()], stdout=subprocess.PIPE, text=True)
    return json.loads(process.communicate()[0])


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"container: waited {PATIENCE} s for {what}")
        time.sleep(0.2)


def children(process):
    """The program that runs as process 1 of its namespace."""
    found = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(found[0])


def serves(image, environment, tools, topic="trackers/+/position"):
    """The image's command runs, is well, takes a position to the broker, and ends by SIGTERM with 0."""
    log = open(image.root / "tmp/bridge.log", "w+")
    bridge = chroot(image.root, image.command["ENTRYPOINT"] + image.command["CMD"],
                    user=image.user if image.user != "root" else None, environment={**image.environment, **environment}, stderr=log)

    def healthy():
        if bridge.poll() is not None:
            log.seek(0)
            sys.exit(f"container: the bridge ended with {bridge.returncode}: {log.read()}")
        return chroot(image.root, image.command["HEALTHCHECK"], user="8888:8888", environment=image.environment,
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait() == 0

    wait_for(healthy, "its health")
    status = pathlib.Path(f"/proc/{children(bridge)}/status").read_text()
    say("   " + re.search(r"^Uid:.*", status, re.M)[0].replace("\t", " "))
    assert re.search(r"^Uid:\t8888\t8888\t8888\t8888$", status, re.M), "the bridge runs as another user"
    listener = chroot(tools, ["mosquitto_sub", "-t", topic, "-C", "1", "-W", str(PATIENCE), "-v"],
                      stdout=subprocess.PIPE, text=True)
    time.sleep(1)  # to subscribe; a position that came earlier would not be seen, and the next is
    sim = chroot(image.root, ["tracker2mqtt-sim", "-s", "127.0.0.1:8888", "-n", "1", "-i", "1", "-r", "5"], stdout=subprocess.DEVNULL)
    out = listener.communicate()[0]
    sim.terminate()
    sim.wait()
    say("   " + out.strip()[:160])
    assert out.startswith(topic.split("/")[0] + "/"), f"nothing came to {topic}"
    os.kill(children(bridge), signal.SIGTERM)
    code = bridge.wait(PATIENCE)
    assert code == 0, f"the bridge ended with {code}"
    say("   healthy, heard, ended by SIGTERM with 0")


def run_all(final, addon, tools):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    compose = read_yaml(tools, FOLDER / "compose.yaml")["services"]
    assert compose["tracker2mqtt"]["build"] == {"context": "../..", "dockerfile": "etc/container/Containerfile"}
    (tools / "mosquitto/data").mkdir(parents=True, exist_ok=True)
    (tools / "mosquitto/data").chmod(0o777)
    shutil.copy(FOLDER / "mosquitto.conf", tools / "mosquitto/mosquitto.conf")
    with open(tools / "etc/hosts", "w") as f:
        f.write("127.0.0.1 localhost\n")
    broker = chroot(tools, ["mosquitto", "-c", "/mosquitto/mosquitto.conf"], stderr=subprocess.DEVNULL)
    wait_for(lambda: chroot(tools, ["mosquitto_pub", "-t", "ready", "-n"], stderr=subprocess.DEVNULL).wait() == 0, "mosquitto")
    say("== the image, with the environment of compose.yaml")
    for image in (final, addon):  # the names that an engine or Home Assistant resolves
        (image.root / "etc/hosts").write_text("127.0.0.1 localhost mosquitto core-mosquitto\n")
    serves(final, compose["tracker2mqtt"]["environment"], tools)
    assert (final.root / "usr/share/tracker2mqtt/web/index.html.gz").exists(), "no page in the image"
    assert list((final.root / "var/lib/tracker2mqtt").glob("outbox*")), "no outbox in the volume"
    say("== the add-on, with its standard options")
    config = read_yaml(tools, FOLDER / "homeassistant/config.yaml")
    for section, values in config["options"].items():
        assert set(values) <= set(config["schema"][section]), f"an option of [{section}] without a schema"
    (addon.root / "data").mkdir()
    (addon.root / "data/options.json").write_text(json.dumps(config["options"]))
    serves(addon, {}, tools, "homeassistant/#")  # discovery = yes
    assert list((addon.root / "data/outbox").iterdir()), "no outbox in /data"
    broker.terminate()
    broker.wait()


def main():
    if len(sys.argv) != 3 or os.geteuid() != 0:
        sys.exit(__doc__)
    base, work = (pathlib.Path(a).resolve() for a in sys.argv[1:])
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    builder = Builder(base, work)
    final = builder.build(FOLDER / "Containerfile", ROOT)
    builder.images["base"] = final
    addon = builder.build(FOLDER / "homeassistant/Dockerfile", FOLDER / "homeassistant", {"BUILD_FROM": "base"})
    tools = builder.images["build"].root
    say("== mosquitto and yaml, into the stage that is thrown away")
    must(tools, ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "mosquitto", "mosquitto-clients", "python3-yaml"],
         environment={"DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL)
    os.unshare(os.CLONE_NEWNET) if hasattr(os, "unshare") else unshare_network()
    run_all(final, addon, tools)
    shutil.rmtree(work)
    say("container: fine")


def unshare_network():
    """os.unshare came with Python 3.12."""
    import ctypes
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
        sys.exit(f"container: no network of its own: {os.strerror(ctypes.get_errno())}")


main()
