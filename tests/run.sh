#!/bin/sh
# What `make run` does: the app with its window where there is a display to show it on and what
# it is built with (installed on Debian and Ubuntu if it is missing), else the gateway alone.
set -eu
cargo=${1:-cargo}

has_display() { [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || [ "$(uname)" = Darwin ]; }
has_webkit() { [ "$(uname)" = Darwin ] || pkg-config --exists webkit2gtk-4.1 2>/dev/null; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if has_display && ! has_webkit && command -v apt-get >/dev/null 2>&1; then
  echo "The window needs WebKit; installing it (or press Ctrl-C and run: $cargo run --release -- serve)" >&2
  as_root apt-get install -y --no-install-recommends pkg-config libwebkit2gtk-4.1-dev libayatana-appindicator3-1 || true
fi
if has_display && has_webkit; then
  exec "$cargo" run --release --locked --features desktop
fi
exec "$cargo" run --release --locked -- serve
