#!/usr/bin/env bash
# `setup.sh base`: .venv with all Python packages, and what the demo runs: curl, squid, git, ssh.
# `setup.sh programs`: the programs that the tests drive, and the libraries for Kerberos.
# Safe to run again; quick when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}

# program, then the Debian package that brings it
base=(
    "curl curl" "git git" "squid squid" "ssh openssh-client" "sshd openssh-server"
)
programs=(
    "curl curl" "git git" "squid squid" "tinyproxy tinyproxy" "ssh openssh-client"
    "sshd openssh-server" "corkscrew corkscrew" "proxytunnel proxytunnel" "nc netcat-openbsd"
    "openssl openssl" "chromium chromium" "ps procps" "cc gcc" "python3-config python3-dev"
    "nginx nginx-light" "haproxy haproxy" "apache2 apache2-bin" "krb5kdc krb5-kdc"
    "kadmin.local krb5-admin-server" "kinit krb5-user" "krb5-config libkrb5-dev"
    "psql postgresql-client" "pg_lsclusters postgresql" "redis-server redis-server"
    "redis-cli redis-tools" "microsocks microsocks" "setpriv util-linux"
)
PATH="$PATH:/usr/sbin:/sbin"

say() { printf '== %s\n' "$*"; }

# The packages of those given whose program is missing.
missing_packages() {
    local entry
    for entry in "$@"; do
        command -v "${entry%% *}" >/dev/null 2>&1 || printf '%s\n' "${entry##* }"
    done
}

# Install packages with apt-get, or say why not. Never ends the set-up: what is missing after it
# is missed by what needs it.
apt_install() {
    local as_root=()
    say "installing with apt-get: $*"
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: install these yourself"
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            say "not root and no sudo without password: install these yourself"
            return
        fi
        as_root=(sudo -n)
    fi
    # RUNLEVEL=1: packages with a service do not start it.
    local get=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq)
    "${get[@]}" update || say "apt-get update failed; trying with the old lists"
    "${get[@]}" install -y --no-install-recommends "$@" >/dev/null && return
    # One package that this system does not have must not keep the others out.
    local package
    for package in "$@"; do
        "${get[@]}" install -y --no-install-recommends "$package" >/dev/null ||
            say "apt-get could not install $package"
    done
}

install_missing() {
    local packages
    mapfile -t packages < <(missing_packages "$@")
    [ "${#packages[@]}" -gt 0 ] || return 0
    # Besides gcc, what it compiles with.
    [[ " ${packages[*]} " != *" gcc "* ]] || packages+=(libc6-dev)
    apt_install "${packages[@]}"
    mapfile -t packages < <(missing_packages "$@")
    [ "${#packages[@]}" -eq 0 ] || say "still missing, what needs them is NOT RUN: ${packages[*]}"
}

check_python() {
    if ! command -v "$python" >/dev/null; then
        say "there is no '$python'; underpass needs Python 3.11 or later (set PYTHON=...)"
        exit 1
    fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "underpass needs Python 3.11 or later; '$python' is older (set PYTHON=...)"
        exit 1
    }
    # Debian keeps what makes virtual environments in a package of its own.
    "$python" -c 'import ensurepip' 2>/dev/null ||
        apt_install "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
}

install_python() {
    check_python
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        say "making .venv"
        "$python" -m venv --clear .venv
    fi
    say "installing Python packages"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    # What is installed editable is pure, so nothing is fetched for compiling.
    UNDERPASS_COMPILE=0 .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --group lint --group test --editable .
}

# The libraries for Kerberos, which come as sources. Nobody waits for how fast they are, but for how
# long they take to compile.
install_tickets() {
    ! .venv/bin/python -c 'import gssapi, krb5' 2>/dev/null || return 0
    say "compiling the libraries for Kerberos: a minute or two"
    CFLAGS="-O0 -g0" .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt 'pyspnego[kerberos]' ||
        say "they can't be compiled here; what needs them is NOT RUN"
}

case "${1:-}" in
    base)
        install_missing "${base[@]}"
        install_python
        ;;
    programs)
        install_missing "${programs[@]}"
        install_tickets
        ;;
    *)
        echo "usage: setup.sh base|programs" >&2
        exit 2
        ;;
esac
say "$1: ready"
