#!/bin/sh
# Installs and builds the peers that throng is measured against. Safe to run again: it does only what
# is missing. Needs the network for apt and PyPI the first time, and nothing else.
set -eu
cd "$(dirname "$0")"

say() { echo "peers: $*" >&2; }

# A package of the distribution, if its command is missing and apt is there to get it.
need() {
    command -v "$1" >/dev/null && return
    if command -v apt-get >/dev/null; then
        say "installing $2"
        sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get install -y --no-install-recommends "$2" >/dev/null && return
    fi
    say "no $1: its peers are left out"
    return 1
}

if need go golang-go; then
    mkdir -p bin
    for role in server client; do
        # Single files, no module: standard library only.
        go build -o "bin/go-$role" "go/$role.go"
    done
fi

if need python3 python3-venv; then
    if ! .venv/bin/python -c 'import uvloop' 2>/dev/null; then
        python3 -m venv .venv && .venv/bin/pip install --quiet uvloop ||
            say "no uvloop: the Python peers are left out"
    fi
fi

need node nodejs || true

say "ready"
