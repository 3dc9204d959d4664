#!/bin/sh
# Installs what the tests need beyond Rust: the providers' Python and Node SDKs and two
# agents, at pinned versions, inside tests/sdk; a browser; on Debian
# and Ubuntu also what the window needs. With `bench` also nginx, the baseline.
# Safe to run again: does nothing when all is there.
set -eu
cd "$(dirname "$0")/sdk"

say() { printf 'tests/setup: %s\n' "$*" >&2; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# install COMMAND DEBIAN_PACKAGE BREW_PACKAGE: unless the command works already
install() {
  command -v "$1" >/dev/null 2>&1 && return
  say "installing $1"
  if command -v brew >/dev/null 2>&1; then
    brew install --quiet "$3" >/dev/null
  elif command -v apt-get >/dev/null 2>&1; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
  else
    say "please install $1 and run me again"
    exit 1
  fi
}

# fresh FILE STAMP: whether the stamp was made from this very file
fresh() { [ -f "$2" ] && cmp -s "$1" "$2"; }

install python3 python3 python3
install node nodejs node
install npm npm node

if ! fresh requirements.txt .venv/installed; then
  say "installing the Python SDKs"
  python3 -m venv .venv >/dev/null 2>&1 || {
    as_root apt-get update -qq
    as_root apt-get install -y -qq python3-venv >/dev/null
    python3 -m venv .venv
  }
  .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
  cp requirements.txt .venv/installed
fi

if ! fresh package-lock.json node_modules/installed; then
  say "installing the Node SDKs and the agents"
  npm ci --silent --no-audit --no-fund
  cp package-lock.json node_modules/installed
fi

if ! fresh ../browser/package-lock.json ../browser/node_modules/installed; then
  say "installing what drives the browser"
  (cd ../browser && npm ci --silent --no-audit --no-fund)
  cp ../browser/package-lock.json ../browser/node_modules/installed
fi
[ -n "${CHROMIUM:-}" ] || install chromium chromium chromium

# A real PostgreSQL to load exports into; its own service need not run.
if command -v apt-get >/dev/null 2>&1; then
  [ -d /usr/lib/postgresql ] || install initdb postgresql postgresql
fi

# The window: what it is built with, and a display, a session bus and a driver to test it on.
if command -v apt-get >/dev/null 2>&1; then
  pkg-config --exists webkit2gtk-4.1 ayatana-appindicator3-0.1 2>/dev/null &&
    command -v xvfb-run WebKitWebDriver dbus-run-session wmctrl openbox dunst gnome-keyring-daemon >/dev/null 2>&1 &&
    /usr/bin/python3 -c 'import dbus, gi' 2>/dev/null || {
    say "installing what the window is built and tested with"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      pkg-config libwebkit2gtk-4.1-dev libayatana-appindicator3-dev xvfb xauth dbus dbus-x11 \
      openbox wmctrl dunst gnome-keyring webkit2gtk-driver fonts-dejavu-core python3-dbus python3-gi >/dev/null
  }
fi

if [ "${1:-}" = bench ]; then
  # On Debian the package would start a server of its own; ours is started by the benchmark.
  PATH="$PATH:/usr/sbin" install nginx nginx-light nginx
fi
