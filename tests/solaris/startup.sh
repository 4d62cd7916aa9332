#!/bin/sh
# startup.sh PLATFORM PROGRAM LIBRARY: the start-up of a real illumos userland, issued by a static program in a root of its own.
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/root/lib/amd64" "$dir/root/tmp" "$dir/root/proc" "$dir/root/dev" || exit 99
ln -s amd64 "$dir/root/lib/64"
cp "$2" "$dir/root/prog" && cp "$3" "$dir/root/lib/amd64/libtest.so.1" && chmod 755 "$dir/root/prog" || exit 99
cd / || exit 99
"$SUNDOG" run --platform "$1" -- /bin/true || exit 77
"$SUNDOG" run --platform "$1" --rootfs "$dir/root" -- /prog
