#!/bin/sh
# The whole journey of the desktop app under a virtual display: tray, window, second start,
# close and quit. `tests/desktop/run.sh PATH/TO/tollgate`, built with the feature `desktop`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
binary=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Exported before the bus starts: what the bus activates has the bus's environment.
mkdir -p "$scratch/home" "$scratch/run" "$scratch/tollgate"
chmod 700 "$scratch/run"
export HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch/run" TOLLGATE_HOME="$scratch/tollgate"
export TAURI_WEBVIEW_AUTOMATION=true
xvfb-run -a -s '-screen 0 1400x900x24' dbus-run-session -- \
  /usr/bin/python3 "$here/journey.py" "$binary"
