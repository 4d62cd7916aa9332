#!/bin/bash
# The packaging tools: versions, a package built, listed, its fields read, unpacked.
set -eu
{ command -v apt-get && command -v dpkg-deb; } >/dev/null || { echo "skipped: no Debian packaging tools here"; exit 77; }
apt-get --version | grep -q '^apt '
dpkg --version | grep -qi dpkg
[ "$(dpkg --print-architecture)" = amd64 ]
dpkg --compare-versions 1.10 gt 1.9
mkdir -p pkg/DEBIAN pkg/usr/share/x
printf 'Package: x\nVersion: 1.2-3\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: test\n' >pkg/DEBIAN/control
seq 1000 >pkg/usr/share/x/numbers
chmod -R go-w pkg
dpkg-deb --root-owner-group --build pkg x.deb >/dev/null
[ "$(dpkg-deb -f x.deb Version)" = 1.2-3 ]
dpkg-deb -c x.deb | grep -q './usr/share/x/numbers'
dpkg-deb -x x.deb out
cmp out/usr/share/x/numbers pkg/usr/share/x/numbers
