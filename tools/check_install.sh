#!/bin/sh
# check_install.sh - installs into a scratch folder and builds an outside project against it, by
# find_package and by pkg-config; then runs the installed command from elsewhere.
#
# usage: tools/check_install.sh BUILD_FOLDER
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cmake --install "$1" --prefix "$scratch/prefix" >/dev/null
cp -r examples/standalone "$scratch/project"
cmake -S "$scratch/project" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
cmake --build "$scratch/build" >/dev/null
"$scratch/build/one_head" >"$scratch/by_cmake"
pc=$(dirname "$(find "$scratch/prefix" -name leyden.pc)")
PKG_CONFIG_PATH=$pc sh -c 'cc "$1/project/one_head.c" $(pkg-config --cflags --libs leyden) \
    -Wl,-rpath,"$(pkg-config --variable=libdir leyden)" -o "$1/by_pc"' sh "$scratch"
"$scratch/by_pc" >"$scratch/by_pkg_config"
cmp "$scratch/by_cmake" "$scratch/by_pkg_config"
(cd / && "$scratch/prefix/bin/leyden" cell --hw cmos >/dev/null)
mv "$scratch/prefix" "$scratch/moved" # an installed tree can be moved as a whole
(cd / && "$scratch/moved/bin/leyden" config validate --hw cmos)
(cd / && "$scratch/moved/bin/leyden" run -p "It was" -n 1 >/dev/null 2>&1) # its model moves with it
cat "$scratch/by_cmake"
echo "install: ok"
