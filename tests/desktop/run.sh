#!/bin/sh
# The whole journey of the desktop app under a virtual display: tray, window, second start,
# close and quit. `tests/desktop/run.sh PATH/TO/tollgate`, built with the feature `desktop`.
set -eu
export TAURI_WEBVIEW_AUTOMATION=true
exec sh "$(dirname "$0")/session.sh" journey.py "$(realpath "$1")"
