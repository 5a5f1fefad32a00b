#!/bin/sh
# setup.sh - installs the Debian packages that building, testing and the demo need.
#
# usage: tools/setup.sh [PACKAGE]...   further packages may be named (CI does)
set -eu
wanted="gcc libc6-dev cmake make pkg-config libyaml-dev libcjson-dev libpcre2-dev liblzma-dev libbz2-dev librandom123-dev \
    libdnnl-dev libcmocka-dev gnuplot-nox $*"
optional="libngspice0-dev libcminpack-dev" # leyden spice: circuits
# lacking PACKAGE...: those that are not installed
lacking() {
    for package in "$@"; do
        case "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" in
        "install ok installed") ;;
        *) printf ' %s' "$package" ;;
        esac
    done
}
missing=$(lacking $wanted)
missing_optional=$(lacking $optional)
[ -n "$missing$missing_optional" ] || exit 0
echo "installing Debian packages:$missing$missing_optional"
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1; then
    as_root="sudo"
else
    [ -n "$missing" ] || { echo "setup.sh: without$missing_optional leyden spice will be missing"; exit 0; }
    echo "setup.sh: needs root or sudo to install:$missing" >&2
    exit 1
fi
$as_root apt-get update -qq
install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
[ -z "$missing" ] || $install $missing >/dev/null
[ -z "$missing_optional" ] || $install $missing_optional >/dev/null ||
    echo "setup.sh: without$missing_optional leyden spice will be missing"
echo "installed."
