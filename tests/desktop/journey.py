"""One journey through the real app: its window by WebDriver, its tray over D-Bus, its gateway
by HTTP, its receipts by the command line. Prints each step; ends with 1 at the first that fails."""

import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

BINARY = sys.argv[1]
HERE = pathlib.Path(__file__).parent
HOME = pathlib.Path(os.environ["TOLLGATE_HOME"])
PATIENCE = 20


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers every chat with the same usage: 1,000 tokens in, 100 out."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "broken":
            self.send_response(500)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = json.dumps({
            "id": "c", "object": "chat.completion", "model": asked["model"],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "."}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


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


def quietly(ask):
    try:
        return ask()
    except OSError:
        return None


def send(url, body=None, headers=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def tollgate(*arguments):
    return subprocess.run([BINARY, *arguments], check=True, capture_output=True, text=True).stdout


def environment(pid):
    return pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def command(pid):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def processes(name):
    """Running processes of this session whose command's name begins so, zombies aside."""
    ours = f"TOLLGATE_HOME={HOME}".encode()
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            try:
                is_ours = ours in environment(process.name)
            except PermissionError:
                # The program itself shows its environment to root alone.
                is_ours = command(process.name)[0] == BINARY.encode()
            if is_ours and (process / "comm").read_text().startswith(name):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def windows():
    return subprocess.run(["wmctrl", "-l"], capture_output=True, text=True).stdout.count("Tollgate")


class Tray:
    def __init__(self):
        self.process = subprocess.Popen(["/usr/bin/python3", HERE / "tray.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert json.loads(self.process.stdout.readline()) == "ready"

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
threading.Thread(target=upstream.serve_forever, daemon=True).start()
port = free_port()
gate = f"http://127.0.0.1:{port}"
(HOME / "config.toml").write_text(
    f'listen = "127.0.0.1:{port}"\n[providers.openai]\nbase_url = "http://127.0.0.1:{upstream.server_port}"\n'
    "[[alerts]]\nname = 'Spend'\nspend_above = '0.01'\n"
    "[[alerts]]\nname = 'Errors'\nerror_rate_above = 20\n")


def call(model="gpt-5.1"):
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    send(f"{gate}/v1/chat/completions", body, {"authorization": "Bearer sk-planted"})


def alive():
    return quietly(lambda: send(f"{gate}/healthz")["status"] == "ok")


def notifications():
    """What the daemon was given, by title. Its history holds only what was closed."""
    subprocess.run(["dunstctl", "close-all"], check=True)
    told = json.loads(subprocess.run(["dunstctl", "history"], check=True, capture_output=True, text=True).stdout)
    return sorted(one["summary"]["data"] for one in told["data"][0])


# As a shell has it that was given keys.
PLANTED = "sk-PLANTED-IN-THE-SHELL"
os.environ.update({name: PLANTED for name in ("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY")})
tollgate("exchange", "set", "2020-01-01", "USD", "EUR", "0.5")
subprocess.Popen(["openbox"], stderr=subprocess.DEVNULL)
subprocess.Popen(["dunst"], stderr=subprocess.DEVNULL)
tray = Tray()

# The window, as WebDriver starts the app: its tray process makes the window's own.
driver_port = free_port()
driver = f"http://127.0.0.1:{driver_port}"
subprocess.Popen(["WebKitWebDriver", f"--port={driver_port}"])
until("the driver answers", lambda: quietly(lambda: send(f"{driver}/status")))
session = send(f"{driver}/session", {"capabilities": {"alwaysMatch": {
    "browserName": "wry", "webkitgtk:browserOptions": {"binary": BINARY, "args": []}}}})["value"]["sessionId"]


def script(source):
    return send(f"{driver}/session/{session}/execute/sync", {"script": source, "args": []})["value"]


until("the gate takes calls", alive)
until("there is one window", lambda: windows() == 1)
until("the page is there", lambda: script("return document.querySelector('h1')?.innerText") == "Activity")
ours, drawing = processes("tollgate"), processes("WebKitWebProces") + processes("WebKitNetworkPr")
window = [pid for pid in ours if b"--window" in command(pid)]
assert len(ours) == 2 and len(window) == 1 and drawing, (ours, window, drawing)
hidden = [pid for pid in ours if quietly(lambda: environment(pid)) is None]
assert hidden == ([] if os.geteuid() == 0 else ours), "other programs of the user can look into it"
if not hidden:
    assert any(PLANTED.encode() in entry for pid in ours for entry in environment(pid)), "the app was given the keys"
for child in drawing + [pid for pid in window if pid not in hidden]:
    assert not any(PLANTED.encode() in entry for entry in environment(child)), command(child)
print("ok: what the app starts has none of the shell's keys")
until("the tray says nothing was spent", lambda: tray.ask("label") == "$0.00")

# 1,000 x $1.25/M + 100 x $10/M is $0.00225 a call.
for _ in range(4):
    call()
until("the tray says what four calls cost", lambda: tray.ask("label") == "$0.0090")
until("so does its menu", lambda: "Today $0.0090 · 4 requests" in tray.ask("menu"))
shown = "return [...document.querySelectorAll('main a')].map(card => card.innerText).find(text => text.startsWith('Spend')) ?? ''"
until("so does the window, by itself", lambda: "$0.0090" in script(shown))

assert tray.ask("ticked") == ["Today", "As charged"], tray.ask("ticked")
assert tray.ask("click EUR") == "clicked"
until("the tray says it in euros", lambda: tray.ask("label") == "EUR 0.0045")
assert "Today EUR 0.0045 · 4 requests" in tray.ask("menu")
assert tray.ask("click This month") == "clicked"
until("the tray says the month's", lambda: tray.ask("ticked") == ["This month", "EUR"])
assert json.loads((HOME / "tray.json").read_text()) == {"span": "month", "currency": "EUR"}
assert tray.ask("click As charged") == tray.ask("click Today") == "clicked"
until("the tray is as before", lambda: tray.ask("label") == "$0.0090" and tray.ask("ticked") == ["Today", "As charged"])

at_login = pathlib.Path.home() / ".config/autostart/Tollgate.desktop"
assert not at_login.exists(), "starting at login is off unless asked for"
assert tray.ask("click Start at login") == "clicked"
until("it will start at login", at_login.exists)
assert f"Exec={BINARY} --hidden\n" in at_login.read_text(), at_login.read_text()
assert tray.ask("click Start at login") == "clicked"
until("it will not start at login", lambda: not at_login.exists())

subprocess.run(["wmctrl", "-c", "Tollgate"], check=True)
until("the window closes", lambda: windows() == 0)
until("no web process is left", lambda: not processes("WebKitWebProces") and not processes("WebKitNetworkPr"))
call()
until("the gate stays open behind it", lambda: tray.ask("label") == "$0.0113")

assert tray.ask("click Open Tollgate") == "clicked"
until("the tray opens it again", lambda: windows() == 1)
second = subprocess.run([BINARY], timeout=PATIENCE)
assert second.returncode == 0, second
until("a second start adds no window", lambda: windows() == 1)

for web in until("there is a web process", lambda: processes("WebKitWebProces")):
    os.kill(web, signal.SIGKILL)
call()
until("the gate outlives a web view that died", lambda: "Today $0.0135 · 6 requests" in tray.ask("menu"))

until("the line of the spend alert was crossed once", lambda: notifications() == ["Spend"])
for _ in range(6):
    quietly(lambda: call("broken"))
until("six failures of twelve calls are told once", lambda: notifications() == ["Errors", "Spend"])
until("the tray says so", lambda: "2 alerts: Errors, …" in tray.ask("menu"))
call()
quietly(lambda: call("broken"))
until("all calls are in the tray", lambda: "Today $0.0158 · 14 requests" in tray.ask("menu"))
assert notifications() == ["Errors", "Spend"], "an episode is told once"

assert tray.ask("click Quit") == "clicked"
until("it quits", lambda: not alive() and not processes("tollgate"))
assert not quietly(alive)
receipts = [json.loads(line) for line in tollgate("requests", "--json").splitlines()]
good = [one for one in receipts if one["status"] == "succeeded"]
assert len(receipts) == 14 and len(good) == 7 and all(one["cost"] == "0.00225" for one in good), receipts
print("ok: fourteen calls, fourteen receipts")
assert [one["turn"] for one in map(json.loads, tollgate("alerts", "history", "--json").splitlines())] == ["began", "began"]
