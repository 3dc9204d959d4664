#!/bin/sh
# The whole journey of the desktop app under a virtual display: tray, window, second start,
# close and quit; and the same app where parts of a desktop are missing.
# `tests/desktop/run.sh PATH/TO/tollgate`, built with the feature `desktop`.
set -eu
here=$(dirname "$0")
binary=$(realpath "$1")
TAURI_WEBVIEW_AUTOMATION=true sh "$here/session.sh" journey.py "$binary"
BARE_BUS=1 sh "$here/session.sh" without.py "$binary"
