#!/bin/sh
# Puts miredo where it belongs, or takes it away again. No service is enabled or started: each needs a configuration first.
#
#   ./install.sh [--prefix /usr/local] [--destdir DIRECTORY]
#   ./install.sh --uninstall [--purge] [--prefix /usr/local] [--destdir DIRECTORY]

set -eu

prefix=/usr/local
destdir=
uninstall=no
purge=no

fail() {
    echo "install.sh: $1" >&2
    exit "$2"
}

while [ $# -gt 0 ]; do
    case $1 in
    --prefix | --destdir)
        [ $# -ge 2 ] || fail "Cannot use \"$1\" without a directory" 2
        if [ "$1" = --prefix ]; then prefix=${2%/}; else destdir=${2%/}; fi
        shift
        ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    -h | --help)
        sed -n '2,5s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "Cannot understand \"$1\" (install.sh --help)" 2 ;;
    esac
    shift
done
case $prefix in
/*) ;;
*) fail "Cannot use prefix \"$prefix\": it is not an absolute path" 2 ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
to=$destdir$prefix
etc=$destdir/etc/miredo
units="miredo-client.service miredo-relay.service miredo-server.service"

# Whether this system itself is changed, and systemd runs on it.
live_systemd() { [ -z "$destdir" ] && [ -d /run/systemd/system ]; }

if [ "$uninstall" = yes ]; then
    # shellcheck disable=SC2086 # a list of names
    if live_systemd; then systemctl disable --now $units || true; fi
    find bin lib share -type f | while read -r file; do rm -f "$to/$file"; done
    for role in client relay server; do
        if [ -L "$destdir/etc/init.d/miredo-$role" ]; then
            if [ -z "$destdir" ] && command -v rc-service >/dev/null; then
                rc-service --ifstarted "miredo-$role" stop || true
                rc-update --all delete "miredo-$role" >/dev/null 2>&1 || true
            fi
            rm -f "$destdir/etc/init.d/miredo-$role"
        fi
        if [ "$purge" = yes ]; then rm -f "$etc/$role.toml"; fi
    done
    rm -f "$destdir/etc/init.d/miredo-role"
    if [ "$purge" = yes ]; then
        rm -rf "$destdir/run/miredo" "$destdir/var/lib/miredo"
        rm -f "$destdir"/var/log/miredo-client.log "$destdir"/var/log/miredo-relay.log "$destdir"/var/log/miredo-server.log
        rmdir "$etc" 2>/dev/null || true
        if [ -z "$destdir" ] && command -v userdel >/dev/null; then userdel miredo 2>/dev/null || true; fi
    fi
    if live_systemd; then systemctl daemon-reload; fi
    exit 0
fi

# put FILE TARGET MODE: a file with the prefix filled in.
put() {
    mkdir -p "$(dirname "$2")"
    sed "s|/usr/bin/miredo|$prefix/bin/miredo|g" "$1" >"$2"
    chmod "$3" "$2"
}

mkdir -p "$to/bin"
# A running one goes on with the old file.
cp bin/miredo "$to/bin/.miredo-new"
chmod 755 "$to/bin/.miredo-new"
mv "$to/bin/.miredo-new" "$to/bin/miredo"
find lib share -type f | while read -r file; do put "$file" "$to/$file" 644; done
mkdir -p "$etc"
for role in client relay server; do
    # A configuration that is there is somebody's.
    [ -e "$etc/$role.toml" ] || put "config/$role.toml" "$etc/$role.toml" 644
done
if [ -e "$destdir/sbin/openrc-run" ]; then
    put openrc/miredo "$destdir/etc/init.d/miredo-role" 755
    for role in client relay server; do ln -sf miredo-role "$destdir/etc/init.d/miredo-$role"; done
fi

if [ -z "$destdir" ]; then
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers "$to/lib/sysusers.d/miredo.conf"
    elif ! grep -q '^miredo:' /etc/passwd; then
        useradd --system --user-group --home-dir /run/miredo --no-create-home --shell /usr/sbin/nologin miredo
    fi
fi
if live_systemd; then
    systemd-tmpfiles --create "$to/lib/tmpfiles.d/miredo.conf"
    systemctl daemon-reload
fi
start="systemctl enable --now miredo-client"
if [ -e "$destdir/sbin/openrc-run" ]; then start="rc-update add miredo-client && rc-service miredo-client start"; fi
echo "Installed. Next: edit /etc/miredo/client.toml, then: $start (or relay, server)"
