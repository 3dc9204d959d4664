#!/bin/sh
# Runs one of the Python scripts here on a display, a session bus and homes of its own:
# `tests/desktop/session.sh SCRIPT ARGUMENT…`. Nothing of the user's is touched. With BARE_BUS
# the bus starts no service by itself: no notification daemon, no keychain.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
script=$1
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Exported before the bus starts: what the bus activates has the bus's environment.
mkdir -p "$scratch/home" "$scratch/run" "$scratch/tollgate"
chmod 700 "$scratch/run"
export HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch/run" TOLLGATE_HOME="$scratch/tollgate"
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME WAYLAND_DISPLAY
bus=
if [ "${BARE_BUS:-}" ]; then
  bus="--config-file=$scratch/bus.conf"
  cat >"$scratch/bus.conf" <<XML
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=$scratch/run</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
XML
fi
# shellcheck disable=SC2086
xvfb-run -a -s '-screen 0 1400x900x24' dbus-run-session $bus -- \
  /usr/bin/python3 "$here/$script" "$@"
