#!/usr/bin/env bash
# Make .venv with all that the tests, the demo and the linters need, and install the programs that
# the tests drive. Safe to run again; quick when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

# program, then the Debian package that brings it
programs=(
    "curl curl" "git git" "squid squid" "tinyproxy tinyproxy" "ssh openssh-client"
    "sshd openssh-server" "corkscrew corkscrew" "proxytunnel proxytunnel" "nc netcat-openbsd"
    "chromium chromium" "ps procps" "cc gcc"
)
PATH="$PATH:/usr/sbin:/sbin"

say() { printf '== %s\n' "$*"; }

missing_packages() {
    local entry
    for entry in "${programs[@]}"; do
        command -v "${entry%% *}" >/dev/null 2>&1 || printf '%s ' "${entry##* }"
    done
}

install_programs() {
    local packages as_root=()
    packages=$(missing_packages)
    [ -n "$packages" ] || { say "programs for the tests: all there"; return; }
    say "installing with apt-get: $packages"
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: install these yourself, or the tests that need them are NOT RUN"
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            say "not root and no sudo without password: the tests that need these are NOT RUN"
            return
        fi
        as_root=(sudo -n)
    fi
    # RUNLEVEL=1: packages with a service do not start it.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    "${as_root[@]}" apt-get update -qq || say "apt-get update failed; trying with the old lists"
    # shellcheck disable=SC2086 - a list of words
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends $packages libc6-dev >/dev/null ||
        say "apt-get could not install them all"
    packages=$(missing_packages)
    [ -z "$packages" ] || say "still missing, their tests are NOT RUN: $packages"
}

install_python() {
    local python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "underpass needs Python 3.11 or later; '$python' is older (set PYTHON=...)"
        exit 1
    }
    if [ ! -x .venv/bin/python ]; then
        say "making .venv"
        "$python" -m venv .venv
    fi
    say "installing Python packages"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --group lint --group test --editable .
}

install_programs
install_python
say "ready"
