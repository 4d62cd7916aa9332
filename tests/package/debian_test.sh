#!/bin/bash
# The Debian package: builds, lintian has nothing against it, and what it installs works from a root of its own.
set -u
skip() { echo "SKIP: $*"; exit 77; }
src=$(realpath "$(dirname "$0")/../..")
for p in dpkg-buildpackage dh git; do command -v "$p" >/dev/null || skip "no $p: install dpkg-dev, debhelper, git"; done
git -C "$src" rev-parse --git-dir >/dev/null 2>&1 || skip "not a git tree: its own files cannot be told from what was built"
work=$(mktemp -d /tmp/sundog-package-XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
failures=0
bad() { echo "FAIL: $*"; failures=$((failures + 1)); }
mkdir "$work/sundog"
(cd "$src" && git ls-files -co --exclude-standard -z | tar --null -T - -c) | tar -x -C "$work/sundog"
cd "$work/sundog" || exit 99
if dpkg-checkbuilddeps 2>"$work/deps"; then :; else skip "$(cat "$work/deps")"; fi
[ -d /usr/lib/ccache ] && export PATH=/usr/lib/ccache:$PATH
dpkg-buildpackage -us -uc -b >"$work/log" 2>&1 || { tail -40 "$work/log"; bad "dpkg-buildpackage"; echo "1 failed"; exit 1; }
deb=$(echo "$work"/sundog_*.deb)
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$work"/*.changes || bad "lintian"
else
    echo "lintian was not tried: it is not installed"
fi
root=$work/root
dpkg-deb -x "$deb" "$root" || bad "dpkg-deb -x"
for f in bin/sundog libexec/sundog/sundog-sentry libexec/sundog/sundog-gofer libexec/sundog/sundog-netbroker share/man/man1/sundog.1.gz \
    share/bash-completion/completions/sundog share/fish/vendor_completions.d/sundog.fish share/zsh/vendor-completions/_sundog \
    share/sundog/profiles/default.profile share/doc/sundog/copyright; do
    [ -s "$root/usr/$f" ] || bad "the package has no /usr/$f"
done
for platform in ptrace trap; do   # the distribution's compiler flags must not break what runs without a C library
    out=$(timeout 120 "$root/usr/bin/sundog" run --platform $platform -- sh -c 'echo "$((6 * 7))"; exit 5' 2>&1)
    [ "$?:$out" = 5:42 ] || bad "sundog run on $platform says: $out"
done
((failures == 0)) || { echo "$failures failed"; exit 1; }
