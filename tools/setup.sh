#!/bin/sh
# setup.sh - installs the Debian packages that building, testing and the demo need.
#
# usage: tools/setup.sh [PACKAGE]...   further packages may be named (CI does)
set -eu
wanted="gcc libc6-dev cmake make pkg-config libyaml-dev libcjson-dev libpcre2-dev liblzma-dev librandom123-dev \
    libdnnl-dev libcmocka-dev gnuplot-nox $*"
missing=""
for package in $wanted; do
    case "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" in
    "install ok installed") ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
echo "installing Debian packages:$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1; then
    as_root="sudo"
else
    echo "setup.sh: needs root or sudo to install:$missing" >&2
    exit 1
fi
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "installed."
