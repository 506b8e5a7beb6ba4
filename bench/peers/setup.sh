#!/bin/sh
# Installs and builds the peers that throng is measured against. Safe to run again: it does only what
# is missing. Needs the network for apt, PyPI and npm the first time, and nothing else.
set -eu
cd "$(dirname "$0")"

say() { echo "peers: $*" >&2; }

# A package of the distribution, if its command is missing and apt is there to get it.
need() {
    [ -n "$1" ] && command -v "$1" >/dev/null && return
    if command -v apt-get >/dev/null; then
        say "installing $2"
        sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get install -y --no-install-recommends "$2" >/dev/null && return
    fi
    say "no ${1:-$2}: its peers are left out"
    return 1
}

# Libraries of Go come from the distribution as well.
gocode=/usr/share/gocode
gorilla() { [ -d "$gocode/src/github.com/gorilla/websocket" ]; }
if need go golang-go && { gorilla || need "" golang-github-gorilla-websocket-dev; }; then
    mkdir -p bin
    for role in server client; do
        GO111MODULE=off GOPATH=$gocode go build -o "bin/go-$role" "go/$role.go"
    done
fi

if need python3 python3-venv; then
    if ! .venv/bin/python -c 'import uvloop, websockets' 2>/dev/null; then
        python3 -m venv .venv && .venv/bin/pip install --quiet uvloop websockets ||
            say "no uvloop: the Python peers are left out"
    fi
fi

if need node nodejs && [ ! -d node/node_modules/ws ] && need npm npm; then
    npm install --prefix node --no-save --omit=optional --no-audit --no-fund --loglevel=error ws ||
        say "no ws: the Node peer has no WebSocket"
fi

need iperf3 iperf3 || true

# For bench/suites/http; `cargo install oha` adds another client.
need nginx nginx-light || true
need wrk wrk || true
need ab apache2-utils || true
need h2load nghttp2-client || true

# For bench/suites/mqtt.
need mosquitto mosquitto || true
if [ -d .venv ] && ! .venv/bin/python -c 'import paho.mqtt' 2>/dev/null; then
    .venv/bin/pip install --quiet paho-mqtt || say "no paho-mqtt: left out"
fi
if command -v npm >/dev/null && [ ! -d node/node_modules/mqtt ]; then
    npm install --prefix node --no-save --omit=optional --no-audit --no-fund --loglevel=error ws mqtt ||
        say "no mqtt: left out"
fi

# A certificate for TLS, the same for all servers. Nobody trusts it: the clients take any.
if [ ! -f tls/cert.pem ] && need openssl openssl; then
    mkdir -p tls
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout tls/key.pem -out tls/cert.pem 2>/dev/null
fi

# What is sent one way, again and again.
[ -f chunk ] || head -c 131072 /dev/zero | tr '\0' x >chunk

say "ready"
