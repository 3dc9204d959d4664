"""The app where something of a desktop is missing: a tray host, a notification daemon, a keychain,
a session bus, a display. Each time the gate takes calls, and what is missing is said in words.
`BARE_BUS=1 session.sh without.py TOLLGATE`."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

BINARY = sys.argv[1]
HOME = pathlib.Path(os.environ["TOLLGATE_HOME"])
PATIENCE = 30
ALERT = "[[alerts]]\nname = 'Calls'\ncalls_above = 1\nonly = { demo = 'only' }\n"


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


class App:
    """The app in a home of its own, with `missing` taken out of its environment."""

    def __init__(self, *arguments, missing=()):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.home = pathlib.Path(tempfile.mkdtemp(dir=HOME))
        (self.home / "config.toml").write_text(f'listen = "127.0.0.1:{self.port}"\n{ALERT}')
        self.env = {name: value for name, value in os.environ.items() if name not in missing}
        self.env["TOLLGATE_HOME"] = str(self.home)
        self.said = tempfile.TemporaryFile()
        self.process = subprocess.Popen([BINARY, *arguments], env=self.env, stdout=subprocess.DEVNULL, stderr=self.said)

    def alive(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=PATIENCE).status == 200
        except OSError:
            return False

    def call(self):
        body = json.dumps({"model": "demo-small", "messages": [{"role": "user", "content": "Hello"}]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/demo/v1/chat/completions", body, {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE).read()

    def run(self, *arguments):
        return subprocess.run([BINARY, *arguments], env=self.env, check=True, capture_output=True, text=True).stdout

    def receipts(self):
        return self.run("requests", "--demo", "--json").count("\n")

    def words(self):
        self.said.seek(0)
        return self.said.read().decode()

    def log(self):
        return "".join(file.read_text() for file in (self.home / "logs").glob("*"))

    def stop(self):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self.words()


def windows():
    return subprocess.run(["wmctrl", "-l"], capture_output=True, text=True).stdout.count("Tollgate")


subprocess.Popen(["openbox"], stderr=subprocess.DEVNULL)

app = App()
until("without a tray host the gate opens", app.alive)
until("and so does the window", lambda: windows() == 1)
app.call()
until("a call leaves its receipt", lambda: app.receipts() == 1)
app.call()
until("an alert is told where no daemon shows it", lambda: "Calls" in app.run("alerts"))
until("the log says why nobody saw it", lambda: "no notification daemon" in app.log())
until("it says how to get along without a tray", lambda: "no tray icons" in app.words() and "start Tollgate again" in app.words())
app.stop()
until("it ends with its window", lambda: windows() == 0)

NO_BUS = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")
app = App(missing=NO_BUS)
until("without a session bus the gate opens", app.alive)
until("and so does the window there", lambda: windows() == 1)
app.call()
until("a call leaves its receipt without a bus", lambda: app.receipts() == 1)
until("it says that there is no tray", lambda: "no tray" in app.words())
app.stop()
until("it ends with its window, too", lambda: windows() == 0)

app = App(missing=("DISPLAY", "WAYLAND_DISPLAY", *NO_BUS))
until("without a display the gate opens", app.alive)
app.call()
until("a call leaves its receipt without a display", lambda: app.receipts() == 1)
assert "no display" in app.words(), app.words()
app.stop()
print("ok: it says that there is no display")
