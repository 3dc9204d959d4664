"""What the app costs a laptop: idle in the tray for five minutes, then with its window open
beside a bare Tauri window. `session.sh footprint.py TOLLGATE [BARE]`, both built for release;
IDLE_SECONDS shortens the wait. Prints a table; ends with 1 when a line of it is over its limit."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

BINARY, BARE = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
HERE = pathlib.Path(__file__).parent
HOME = pathlib.Path(os.environ["TOLLGATE_HOME"])
IDLE_SECONDS = float(os.environ.get("IDLE_SECONDS", "300"))
SETTLE_SECONDS = 15
PATIENCE = 60
TICKS = os.sysconf("SC_CLK_TCK")


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


if os.geteuid() != 0:
    # It would read 0: the program's memory is closed to other programs of its user, also its size.
    sys.exit("FAILED: only root is told how much memory the program takes")


def family(root):
    """The process and all its descendants, zombies aside."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        fields = read(stat).rpartition(")")[2].split()
        if fields and fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def name(pid):
    return read(f"/proc/{pid}/comm").strip()


def cpu_seconds(pid):
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0


def wakeups(pid):
    """Context switches of every thread, by the thread's number and name."""
    counts = {}
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        rows = dict(line.split(":", 1) for line in read(status).splitlines() if ":" in line)
        if rows:
            counts[int(status.parent.name), rows["Name"].strip()] = int(rows["voluntary_ctxt_switches"])
    return counts


def pss_mb(pid):
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0


def memory(root):
    """PSS by process, in MB."""
    return [(name(pid), pss_mb(pid)) for pid in family(root)]


def until(check):
    """How many seconds `check` took to be truthy."""
    begun = time.monotonic()
    while not check():
        if time.monotonic() - begun > PATIENCE:
            sys.exit("FAILED: waited too long")
        time.sleep(0.005)
    return time.monotonic() - begun


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def windows(title):
    return title in subprocess.run(["wmctrl", "-l"], capture_output=True, text=True).stdout


def stop(process):
    process.terminate()
    process.wait(PATIENCE)


def demo_call():
    body = json.dumps({"model": "demo-small", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/demo/v1/chat/completions", body, {"content-type": "application/json"})
    urllib.request.urlopen(request, timeout=PATIENCE).read()


rows, failed = [], False


def row(what, figure, unit, limit=None):
    global failed
    is_over = limit is not None and figure > limit
    failed |= is_over
    rows.append((what, f"{figure:.2f} {unit}", f"at most {limit} {unit}" if limit is not None else "", "OVER" if is_over else ""))


def idle(process):
    """Watches the family do nothing."""
    time.sleep(SETTLE_SECONDS)
    before = {pid: (cpu_seconds(pid), wakeups(pid)) for pid in family(process.pid)}
    time.sleep(IDLE_SECONDS)
    now = family(process.pid)
    assert sorted(now) == sorted(before), f"processes came or went: {[name(pid) for pid in now]}"
    spent = sum(cpu_seconds(pid) - before[pid][0] for pid in now)
    woken = {}
    for pid in now:
        for thread, count in wakeups(pid).items():
            woken[thread] = count - before[pid][1].get(thread, 0)
    web = [name(pid) for pid in now if name(pid).startswith("WebKit")]
    row(f"in the tray, CPU over {IDLE_SECONDS:.0f} s", 100 * spent / IDLE_SECONDS, "%", 0.2)
    row("in the tray, wake-ups a second", sum(woken.values()) / IDLE_SECONDS, "", 5)
    row("in the tray, memory of all processes (PSS)", sum(pss for _, pss in memory(process.pid)), "MB", 90)
    row("in the tray, processes", len(now), "", 1)
    row("in the tray, web processes", len(web), "", 0)
    for (_, thread), count in sorted(woken.items(), key=lambda each: -each[1])[:5]:
        if count:
            print(f"  woken {count} times: {thread}")
    print(f"  threads: {len(woken)}", flush=True)


with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
(HOME / "config.toml").write_text(f'listen = "127.0.0.1:{port}"\n')
subprocess.Popen(["openbox"], stderr=subprocess.DEVNULL)
tray = subprocess.Popen(["/usr/bin/python3", HERE / "tray.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert json.loads(tray.stdout.readline()) == "ready"

app = subprocess.Popen([BINARY, "--hidden"], stdout=subprocess.DEVNULL)
row("hidden start, until the gate accepts", 1000 * until(lambda: accepts(port)), "ms", 1000)
demo_call()
idle(app)
stop(app)

app = subprocess.Popen([BINARY], stdout=subprocess.DEVNULL)
begun = time.monotonic()
row("start, until the gate accepts", 1000 * until(lambda: accepts(port)), "ms", 1000)
until(lambda: windows("Tollgate"))
row("start, until the window is there", 1000 * (time.monotonic() - begun), "ms", 1000)
time.sleep(SETTLE_SECONDS)
open_ = memory(app.pid)
row("window open, memory of all processes (PSS)", sum(pss for _, pss in open_), "MB")
for each, pss in open_:
    row(f"  {each}", pss, "MB")
stop(app)

if BARE:
    app = subprocess.Popen([BARE])
    row("bare Tauri window, until it is there", 1000 * until(lambda: windows("Bare")), "ms")
    time.sleep(SETTLE_SECONDS)
    bare = memory(app.pid)
    row("bare Tauri window, memory of all processes (PSS)", sum(pss for _, pss in bare), "MB")
    for each, pss in bare:
        row(f"  {each}", pss, "MB")
    stop(app)

width = max(len(what) for what, *_ in rows)
for what, figure, limit, verdict in rows:
    print(f"{what:<{width}}  {figure:>12}  {limit:<18} {verdict}".rstrip())
sys.exit(failed)
