# SPDX-License-Identifier: MIT
"""What exactly is wrong with a value or a line: the whole line that is told of it; that no secret is in it; a reload of it changes nothing."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import termios

import pytest
from certificates import Authority
from conftest import BUILD, ROOT, Unit, v1, wait_for

PROGRAM = BUILD / "tracker2mqtt"
PLAIN = {key: value for key, value in os.environ.items() if not key.upper().startswith("TRACKER2MQTT_")}
ENDPOINTS = "allowed: address:port, comma-separated, at most 16, numeric addresses, IPv6 in brackets, or empty"
WITH_A_UNIT = "with a unit: ms s m h d"


def check(directory, text, **environment):
    """The exit code and the lines that are told of a.ini, which is checked in its directory."""
    (directory / "a.ini").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run([PROGRAM, "-t", "-c", "a.ini"], cwd=directory, capture_output=True, timeout=30,
                          env={**PLAIN, "TRACKER2MQTT_OUTBOX_PATH": str(directory / "outbox"), **environment})
    return done.returncode, done.stderr.decode().splitlines()


def faults(directory, text, **environment):
    code, lines = check(directory, text, **environment)
    last = lines.pop()
    told = [line for line in lines if ": warning: " not in line]
    assert code == 1 and last == f"tracker2mqtt: {len(told)} fault{'s' if len(told) > 1 else ''} in the configuration", (lines, last)
    return told


def whole(pattern):
    """A line; `…` in it stands for anything."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("…")))


@pytest.mark.parametrize("text, line", [
    ("[listen]\ntcp = 0.0.0.0\n", f"2: tcp = 0.0.0.0 is not allowed: 0.0.0.0 has no port: 0.0.0.0:PORT; {ENDPOINTS}"),
    ("[listen]\ntcp = 8888\n", f"2: tcp = 8888 is not allowed: 8888 has no address: 0.0.0.0:8888 is every address of this machine; {ENDPOINTS}"),
    ("[listen]\nudp = :8888\n", f"2: udp = :8888 is not allowed: :8888 has no address: 0.0.0.0:8888 is every address of this machine; {ENDPOINTS}"),
    ("[listen]\nudp = *:8888\n", f"2: udp = *:8888 is not allowed: *:8888 has no address: 0.0.0.0:8888 is every address of this machine; {ENDPOINTS}"),
    ("[web]\nlisten = ::1:8880\n", f"2: listen = ::1:8880 is not allowed: ::1:8880 has no brackets: [::1]:8880; {ENDPOINTS}"),
    ("[web]\nlisten = 127.0.0.1:0\n", f"2: listen = 127.0.0.1:0 is not allowed: 127.0.0.1:0 has a port that is no number from 1 to 65535; {ENDPOINTS}"),
    ("[metrics]\nlisten = 127.0.0.1:70000\n", f"2: listen = 127.0.0.1:70000 is not allowed: 127.0.0.1:70000 has a port that is no number from 1 to 65535; "
     f"{ENDPOINTS}"),
    ("[metrics]\nlisten = http://127.0.0.1:9888\n", f"2: listen = http://127.0.0.1:9888 is not allowed: http://127.0.0.1:9888 has a scheme, and only an address "
     f"and a port are meant; {ENDPOINTS}"),
    ("[listen]\ntcp = localhost:8888\n", f"2: tcp = localhost:8888 is not allowed: localhost:8888 is a name, where a numeric address must stand; {ENDPOINTS}"),
    ("[listen]\ntcp = 0.0.0.0:9001 0.0.0.0:9002\n", f"2: tcp = 0.0.0.0:9001 0.0.0.0:9002 is not allowed: a comma must stand between two addresses; {ENDPOINTS}"),
    ("[mqtt]\nkeepalive = 10\n", f"2: keepalive = 10 is not allowed: its unit is missing; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = 1h30\n", f"2: keepalive = 1h30 is not allowed: it must be one number with one unit; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = 10 m\n", f"2: keepalive = 10 m is not allowed: no blank may stand between number and unit; allowed: a duration from 5s to 1h "
     f"{WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = 10min\n", f"2: keepalive = 10min is not allowed: there is no unit min; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = -10s\n", f"2: keepalive = -10s is not allowed: it must not be negative; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = 2h\n", f"2: keepalive = 2h is not allowed; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nport = 0x75b\n", "2: port = 0x75b is not allowed: only decimal numbers are read; allowed: a whole number from 1 to 65535"),
    ("[mqtt]\nport = 1883.0\n", "2: port = 1883.0 is not allowed: only whole numbers are read; allowed: a whole number from 1 to 65535"),
    ("[mqtt]\nport =\n", "2: port =  is not allowed: nothing stands behind =; allowed: a whole number from 1 to 65535"),
    ("[mqtt]\nport = mqtt\n", "2: port = mqtt is not allowed: it must begin with a digit; allowed: a whole number from 1 to 65535"),
    ("[mqtt]\nport = 99999999999999999999\n", "2: port = 99999999999999999999 is not allowed; allowed: a whole number from 1 to 65535"),
    ("[outbox]\nsize = 1GB\n", "2: size = 1GB is not allowed: there is no unit GB; allowed: a size from 1M to 1024G, in bytes or with K M G"),
    ("[outbox]\nsize = 9223372036854775807G\n", "2: size = 9223372036854775807G is not allowed; allowed: a size from 1M to 1024G, in bytes or with K M G"),
    (b"[publish]\nprefix = M\xfcller\n", "2: prefix = M\\xfcller is not allowed: it is not UTF-8; save the file as UTF-8; allowed: topic levels without + and "
     "#, not beginning with / or $, 1 to 100 characters"),
])
def test_what_a_line_says(tmp_path, text, line):
    (told,) = faults(tmp_path, text)
    assert whole(f"a.ini:{line}").fullmatch(told), told


def test_a_file_that_is_no_text_as_it_should_be(tmp_path):
    utf16 = "a.ini:1: this file is UTF-16; save it as UTF-8"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert faults(tmp_path, "[mqtt]\r\nport = 1884\r\n".encode(encoding)) == [utf16]
    assert faults(tmp_path, b"[mqtt]\rport = 1884\r") == ["a.ini:1: a carriage return within a line; lines must end as on Linux or Windows"]
    assert faults(tmp_path, b"[mqtt]\nport = 18\x0084\n") == ["a.ini:2: a NUL byte is not allowed; this must be a text file"]
    assert faults(tmp_path, b"[mqtt] port = 1884\n") == ["a.ini:1: something stands behind the section in its line; an option needs a line of its own"]
    assert check(tmp_path, b"\xef\xbb\xbf[mqtt] ; the broker\r\nport = 1884\r\n") == (0, ["a.ini: the configuration is fine"])
    assert check(tmp_path, b"[log]\nlevel = info") == (0, ["a.ini: the configuration is fine"])


@pytest.mark.parametrize("text, line", [
    (b"[1]\nname = M\xfcller\n", "2: name = M\\xfcller is not allowed; allowed: a text of 1 to … characters (it is not UTF-8; save the file as UTF-8)"),
    ("[1]\nid = x\n", "2: id = x is not allowed; allowed: a whole number from 0 to 4294967295 (it must begin with a digit)"),
    ("[1]\nname hunter2 = a\n", "2: not understood: a key has no blanks; allowed: [section], key = value, # comment"),
    ("[1]\n".encode("utf-16"), "1: this file is UTF-16; save it as UTF-8")])
def test_what_a_line_says_of_the_units_file(tmp_path, text, line):
    (tmp_path / "units.ini").write_bytes(text if isinstance(text, bytes) else text.encode())
    (told,) = faults(tmp_path, "[units]\nfile = units.ini\n")
    assert whole(f"units.ini:{line}").fullmatch(told), told


def test_a_variable_that_is_near_to_no_option(tmp_path):
    assert check(tmp_path, "[log]\nlevel = info\n", TRACKER2MQTT_COLOUR="hunter2") == (0, [
        "environment:TRACKER2MQTT_COLOUR: notice: no option has this name, and it is ignored; allowed: TRACKER2MQTT_<SECTION>_<KEY> as in the file",
        "a.ini: the configuration is fine"])


def test_variables_that_containers_make(tmp_path):
    made = {"TRACKER2MQTT_PORT": "tcp://10.0.0.1:8888", "TRACKER2MQTT_SERVICE_HOST": "10.0.0.1", "TRACKER2MQTT_SERVICE_PORT_TRACKERS": "8888",
            "TRACKER2MQTT_PORT_8888_TCP_ADDR": "10.0.0.1", "TRACKER2MQTT_NAME": "/nodered/tracker2mqtt", "TRACKER2MQTT_ENV_LANG": "C"}
    assert check(tmp_path, "[log]\nlevel = info\n", **made) == (0, ["a.ini: the configuration is fine"])


@pytest.mark.parametrize("text", [
    "[mqtt]\npasword = hunter2\n", "[mqtt]\nPASSWORD = hunter2\n", "[mqtt]\npassword hunter2\n", "[mqtt]\npassword: hunter2\n", "[mqtt]\npassword hunter2 = x\n",
    "[mqtt]\npassword hunter2=abc\n", "[units]\npassword = hunter2\n", "password = hunter2\n", "[mqtt]\n[password = hunter2\n", "[mqtt] password = hunter2\n",
    "[mqtt]\n password = hunter2\n", "[mqtt]\npassword = hunter2" + "x" * 200 + "\n", "[mqtt]\npassword = a\npassword = hunter2\n",
    "[mqtt]\npassword = hunter2 ; mine\n", "[mqtt]\nusername = u\npassword = hunter2\nport = x\n", "[mqtt]\nhost = broker password=hunter2\n",
    "[mqtt]\nhost = me:hunter2@broker\n", "[mqtt]\nhost = 'mqtt://me:hunter2@broker'\n", "[relay]\nserver = http://me:hunter2@p.example:80\n",
    "[relay]\nserver = me:hunter2@p.example:80\n", "[relay]\nserver = \"me:hunter2@p.example:80\"\n", "[web]\nmqtt = \"wss://me:hunter2@broker/mqtt\"\n",
    "[web]\nlisten = http://me:hunter2@127.0.0.1:80\n", "[listen]\ntcp = me:hunter2@127.0.0.1:80\n", "[mqtt]\nport = 1883 password=hunter2\n",
    "[log]\nlevel = info password: hunter2\n", "[listen]\ntcp = password:hunter2\n", "[mqtt]\nkeepalive = 10password=hunter2\n",
    "[relay]\nserver = password=hunter2:80\n", "[mqtt]\nhost = password=hunter2\n", "[mqtt]\npassword = hunter2\0\n", "[mqtt]\nclient_id = 'a password = hunter2'\n",
    "[mqtt]\rpassword = hunter2\r"])
def test_no_secret_is_shown(tmp_path, text):
    code, lines = check(tmp_path, text)
    assert code == 1 and any(re.match(r"a\.ini:\d+: ", line) for line in lines), lines
    assert not any("hunter2" in line for line in lines), lines


def test_a_key_with_a_pass_phrase(tmp_path):
    """Nobody is asked for it, at a terminal neither: that would stop the loop at a reload."""
    cert, key = Authority(tmp_path).issue("one")
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-aes256", "-passout", "pass:hunter2", "-in", key, "-out", locked], check=True, capture_output=True)
    locked.chmod(0o600)
    for section, first, named in (("listen", "tls = 127.0.0.1:9001", 4), ("web", "listen = 127.0.0.1:9001", 4), ("mqtt", "tls = yes", 3)):
        (tmp_path / "a.ini").write_text(f"; TLS\n[{section}]\n{first}\ntls_cert_file = {cert}\ntls_key_file = {locked}\n")
        main, terminal = pty.openpty()
        try:
            done = subprocess.run([PROGRAM, "-t", "-c", "a.ini"], cwd=tmp_path, stdin=terminal, stderr=subprocess.PIPE, text=True, timeout=30,
                                  env={**PLAIN, "TRACKER2MQTT_OUTBOX_PATH": str(tmp_path / "outbox")}, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        finally:
            os.close(main)
            os.close(terminal)
        assert done.stderr.splitlines()[0] == (f"a.ini:{named}: [{section}] tls: private key {locked}: a pass phrase protects it, which the bridge cannot ask "
                                               "for; openssl pkey removes it")


# What shows the rows of the page, one each.
PAIR = "[listen]\ntls = 127.0.0.1:1\ntls_cert_file = b.pem\ntls_key_file = "
ROWS = ["[mqtt]\nhots = a\n", "[mqt]\nhost = a\n", "host = a\n", "[mqtt]\nport = 1\nport = 2\n", "[mqtt]\npassword hunter2\n",
        "[mqtt]\n".encode("utf-16"), {"TRACKER2MQTT_HOST": "a"}, "[mqtt]\nkeepalive = 10\n", "[mqtt]\nhost = 192.168.1.300\n", "[listen]\ntcp = ::1:8888\n",
        "[relay]\nserver = http://p.example:80\n", "[web]\nlisten = 127.0.0.1:8888\n", "[listen]\ntcp = 0.0.0.0:1883\n",
        "[mqtt]\nusername = u\npassword_file = gone\n", "[mqtt]\nusername = u\npassword_file = empty\n", "[mqtt]\nusername = u\npassword_file = public\n",
        f"{PAIR}other.key\n", f"{PAIR}locked.key\n", "[commands]\nallow = engine.stopp\n", "[units]\nunknown = reject\nfile = nobody\n",
        {"TRACKER2MQTT_OUTBOX_PATH": "public/outbox"}, None]


def test_the_page_quotes_what_is_told(tmp_path):
    """Each row of the table in trouble.md; an outbox above the address space is a matter of the machine, and test_config plays it."""
    for name, text in (("empty", "\n"), ("public", "hunter2\n"), ("nobody", "; none yet\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644)
    ca = Authority(tmp_path)
    ca.issue("b")
    ca.issue("other")
    subprocess.run(["openssl", "pkey", "-aes256", "-passout", "pass:hunter2", "-in", tmp_path / "b.key", "-out", tmp_path / "locked.key"], check=True)
    section = (ROOT / "etc/doc/trouble.md").read_text().split("## The check finds a fault\n")[1].split("\n## ")[0]
    quoted = [re.match(r"\| `([^`]*)`", line)[1].replace("a.key", "…") for line in section.splitlines() if line.startswith("| `")]
    assert len(quoted) == len(ROWS)
    for line, row in zip(quoted, ROWS):
        told = [] if row is None else check(tmp_path, "" if isinstance(row, dict) else row, **(row if isinstance(row, dict) else {}))[1]
        assert row is None or any(whole(line.replace("… ", "…", 1)).fullmatch(one) for one in told), (line, told)


# What a reload must refuse, as text that is added to a good file.
RELOADS = [
    "[log]\nlevel = loud\n", "[limits]\nunits = 0x10\n", "[commands]\ntimeout = 1h30\n", "[metrics]\nlisten = 127.0.0.1:0\n",
    "[web]\nlisten = ::1:8880\n", "[log] level = info\n", "[log]\nthe level = info\n", b"[log]\rlevel = info\r", b"[homeassistant]\nprefix = M\xfcller\n"]


@pytest.mark.parametrize("text", RELOADS)
def test_a_reload_of_a_file_with_a_fault_changes_nothing(make_bridge, subscribe, tmp_path, text):
    bridge = make_bridge({"h02": {"ack": "r12"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816", "000001"))
    assert b",R12," in unit.receive()
    good = bridge.path.read_bytes().replace(b"ack = r12", b"ack = v4")
    bridge.path.write_bytes(good + (text if isinstance(text, bytes) else text.encode()))
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "nothing is changed" in bridge.log(), "the refusal")
    assert re.search(rf"(?m)^{re.escape(str(bridge.path))}(:\d+)?: (?!notice|warning).", bridge.log()), bridge.log()
    assert "reloaded" not in bridge.log() and "h02] ack changed" not in bridge.log()
    unit.send(v1("9170503816", "000002"))
    assert b",R12," in unit.receive()
    assert len(sub.on("trackers/9170503816/position", 2)) == 2
    bridge.path.write_bytes(good)
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    unit.send(v1("9170503816", "000003"))
    assert b",V4,V1," in unit.receive()
    unit.close()
