#!/bin/sh
# The package on a clean system: `tests/desktop/package.sh PATH/TO/Tollgate_….deb`.
# Installs it with apt into a Debian of nothing but the essentials (made by debootstrap in a
# folder of its own, or found in CLEAN_SYSTEM and then kept), starts it there as a user who is not
# root from its desktop entry, makes a call, starts it at login, removes it and looks at what is
# left. Needs root and Debian's archive; takes some minutes, so CI runs it for releases only.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
package=$(realpath "$1")
[ "$(id -u)" = 0 ] || exec sudo --preserve-env=CLEAN_SYSTEM sh "$0" "$package"
quietly() { "$@" >"$system/tmp/said" 2>&1 || { cat "$system/tmp/said"; exit 1; }; }
say() { printf '== %s\n' "$*"; }

# Mounts of our own, which go with us whatever happens.
[ "${OWN_MOUNTS:-}" ] || exec env OWN_MOUNTS=1 unshare --mount --pid --fork --kill-child -- sh "$0" "$package"

system=${CLEAN_SYSTEM:-$(mktemp -d)}
[ "${CLEAN_SYSTEM:-}" ] || chmod 755 "$system"
[ "${CLEAN_SYSTEM:-}" ] || trap 'umount -R "$system/proc" "$system/dev" 2>/dev/null; rm -rf --one-file-system "$system"' EXIT
if [ ! -e "$system/etc/debian_version" ]; then
  say "a clean system in $system"
  command -v debootstrap >/dev/null 2>&1 || apt-get install -y -qq debootstrap debian-archive-keyring >/dev/null
  debootstrap --variant=minbase bookworm "$system" http://deb.debian.org/debian >/dev/null
fi
mount -t proc proc "$system/proc"
mount --rbind /dev "$system/dev"
inside() { chroot "$system" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
as_user() { chroot --userspec=walker:walker "$system" env -i HOME=/home/walker PATH=/usr/bin:/bin LANG=C.UTF-8 XDG_RUNTIME_DIR=/tmp/run-walker "$@"; }
inside id walker >/dev/null 2>&1 || inside useradd --create-home walker
inside find /home/walker -mindepth 1 -delete
inside rm -rf /tmp/run-walker /tmp/desktop
inside install -d -m 0700 -o walker -g walker /tmp/run-walker
mkdir "$system/tmp/desktop"
cp "$here"/*.py "$system/tmp/desktop/"
cp "$package" "$system/tmp/tollgate.deb"
cp /etc/resolv.conf "$system/etc/" 2>/dev/null || true

say "apt install"
# A system that was kept may still have the last one.
inside apt-get purge -y -qq tollgate >/dev/null 2>&1 || true
inside apt-get update -qq
quietly inside apt-get install -y --no-install-recommends /tmp/tollgate.deb
inside dpkg --verify tollgate
as_user tollgate --version
! inside ldd /usr/bin/tollgate | grep 'not found' || exit 1
for file in applications/Tollgate.desktop icons/hicolor/scalable/apps/tollgate.svg man/man1/tollgate.1.gz \
  doc/tollgate/copyright doc/tollgate/changelog.gz doc/tollgate/README.md bash-completion/completions/tollgate; do
  [ -f "$system/usr/share/$file" ] || { echo "FAILED: /usr/share/$file is missing"; exit 1; }
done

say "what a desktop has"
quietly inside apt-get install -y --no-install-recommends xvfb xauth dbus dbus-x11 openbox wmctrl procps \
  python3-dbus python3-gi gir1.2-glib-2.0 desktop-file-utils fonts-dejavu-core
inside desktop-file-validate /usr/share/applications/Tollgate.desktop

say "from the desktop entry"
as_user xvfb-run -a -s '-screen 0 1400x900x24' dbus-run-session -- /usr/bin/python3 /tmp/desktop/installed.py use

say "apt purge"
quietly inside apt-get purge -y tollgate
left=$(inside find /usr /etc /opt /var/lib /run -iname '*tollgate*' -not -path '/var/lib/apt/*' 2>/dev/null)
[ -z "$left" ] || { echo "FAILED: purging left $left"; exit 1; }
as_user /usr/bin/python3 /tmp/desktop/installed.py after
say "installed, used and removed; the ledger stayed"
