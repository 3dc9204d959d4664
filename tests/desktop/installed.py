"""The installed app as its user meets it, inside the clean system of `package.sh`: `installed.py
use` begins at the desktop entry, `installed.py after` looks at what is left when it was removed."""

import configparser
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request

from gi.repository import Gio

ENTRY = "/usr/share/applications/Tollgate.desktop"
HOME = pathlib.Path.home()
LEDGER = HOME / ".local/share/tollgate/ledger.db"
AT_LOGIN = HOME / ".config/autostart/Tollgate.desktop"
GATE = "http://127.0.0.1:8655"
PATIENCE = 30


def until(what, check):
    """Waits for `check` to be truthy, and answers with it."""
    end = time.monotonic() + PATIENCE
    while True:
        found = check()
        if found:
            print(f"ok: {what}", flush=True)
            return found
        if time.monotonic() > end:
            sys.exit(f"FAILED: {what}")
        time.sleep(0.1)


def alive():
    try:
        return urllib.request.urlopen(f"{GATE}/healthz", timeout=PATIENCE).status == 200
    except OSError:
        return False


def running():
    """The app's processes, zombies aside."""
    lines = subprocess.run(["ps", "ax", "-o", "stat=,pid=,comm="], capture_output=True, text=True).stdout.splitlines()
    rows = [line.split(None, 2) for line in lines]
    return [int(pid) for stat, pid, name in rows if name == "tollgate" and not stat.startswith("Z")]


def windows():
    return subprocess.run(["wmctrl", "-l"], capture_output=True, text=True).stdout.count("Tollgate")


def call():
    body = json.dumps({"model": "demo-small", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    request = urllib.request.Request(f"{GATE}/demo/v1/chat/completions", body, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=PATIENCE))


def receipts():
    listed = subprocess.run(["tollgate", "requests", "--demo", "--json"], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in listed.stdout.splitlines()]


class Tray:
    def __init__(self):
        here = pathlib.Path(__file__).parent
        self.process = subprocess.Popen(["/usr/bin/python3", here / "tray.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert json.loads(self.process.stdout.readline()) == "ready"

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def use():
    subprocess.Popen(["openbox"], stderr=subprocess.DEVNULL)
    tray = Tray()
    entry = Gio.DesktopAppInfo.new_from_filename(ENTRY)
    assert entry.should_show() and "LLM" in entry.get_keywords(), entry.get_keywords()
    assert "Development" in entry.get_categories().split(";")
    assert entry.launch([], None)
    until("the gate takes calls", alive)
    until("there is one window", lambda: windows() == 1)
    assert call()["usage"]["total_tokens"] > 0
    until("the call left its receipt", lambda: [one["status"] for one in receipts()] == ["succeeded"])

    until("the tray is there", lambda: "Start at login" in tray.ask("menu"))
    assert not AT_LOGIN.exists(), "starting at login is off unless asked for"
    assert tray.ask("click Start at login") == "clicked"
    until("it will start at login", AT_LOGIN.exists)
    at_login = configparser.RawConfigParser()
    at_login.read(AT_LOGIN)
    assert at_login["Desktop Entry"]["Exec"] == "/usr/bin/tollgate --hidden", at_login["Desktop Entry"]["Exec"]
    assert tray.ask("click Quit") == "clicked"
    until("it quits", lambda: not running())

    assert Gio.DesktopAppInfo.new_from_filename(str(AT_LOGIN)).launch([], None)
    until("at login the gate opens", alive)
    until("the tray is there again", lambda: "Start at login" in tray.ask("ticked"))
    assert windows() == 0 and len(running()) == 1, "at login no window opens"
    assert tray.ask("click Start at login") == "clicked"
    until("switched off there is no entry", lambda: not AT_LOGIN.exists())
    assert tray.ask("click Start at login") == "clicked"
    until("switched on there is one", AT_LOGIN.exists)
    for pid in running():
        os.kill(pid, signal.SIGTERM)
    until("it ends when the session does", lambda: not running())


def after():
    ledger = sqlite3.connect(f"file:{LEDGER}?mode=ro", uri=True)
    tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert "receipt" in tables, tables
    print("ok: the ledger is where it was")
    assert AT_LOGIN.exists()
    try:
        sys.exit(f"FAILED: a desktop would start {Gio.DesktopAppInfo.new_from_filename(str(AT_LOGIN)).get_commandline()}")
    except TypeError:  # What the binding makes of "there is no such program".
        print("ok: desktops pass over the entry at login whose program is gone")


{"use": use, "after": after}[sys.argv[1]]()
