#!/usr/bin/env bash
# package.sh [BINARY]: makes what is released of hookbridge, in target/package/out: a tarball with the program, its man pages,
# completions and the systemd unit; a .deb, if cargo-deb is there; and their checksums. Without BINARY it builds the program, with the
# profile `dist`. The same sources and the same compiler make the same files: their times are the commit's, or SOURCE_DATE_EPOCH.
#
#   HOOKBRIDGE_GLIBC        the newest version of glibc that the program may need, such as 2.28; not looked at if it is not set
#   HOOKBRIDGE_DEB_OPTIONS  options of cargo deb, such as --fast, which compresses less
set -euo pipefail

case "${1:-}" in
-h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit
    ;;
esac
# Before anything is removed.
if [ $# -gt 1 ] || { [ $# = 1 ] && { [[ $1 = -* ]] || [ ! -f "$1" ]; }; }; then
    echo "package.sh: expected the path of a built program, or nothing, got: $*" >&2
    exit 64
fi
binary="${1:+$(realpath "$1")}"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target="${CARGO_TARGET_DIR:-target}"
folder=target/package
out="$folder/out"
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH

if [ -z "$binary" ]; then
    cargo build --profile dist --locked --bin hookbridge
    binary="$target/dist/hookbridge"
fi
rm -rf "$folder"
mkdir -p "$folder/man" "$folder/completions" "$out"
install -m 755 "$binary" "$folder/hookbridge"

# What is linked at run time. The newest version counts, whichever library of glibc has it.
needs="$(objdump -T "$folder/hookbridge" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)"
echo "needs ${needs/_/ }"
if [ -n "${HOOKBRIDGE_GLIBC:-}" ] && [ "$(printf '%s\n' "GLIBC_$HOOKBRIDGE_GLIBC" "$needs" | sort -V | tail -n 1)" != "GLIBC_$HOOKBRIDGE_GLIBC" ]; then
    echo "expected nothing newer than glibc $HOOKBRIDGE_GLIBC: build on an older system"
    exit 1
fi

"$folder/hookbridge" docs man --out "$folder/man"
"$folder/hookbridge" completions bash >"$folder/completions/hookbridge.bash"
"$folder/hookbridge" completions zsh >"$folder/completions/_hookbridge"
"$folder/hookbridge" completions fish >"$folder/completions/hookbridge.fish"

version="$("$folder/hookbridge" -V | cut -d ' ' -f 2)"
name="hookbridge-$version-$(uname -m)-linux-gnu"
mkdir "$folder/$name"
cp -R "$folder/hookbridge" "$folder/man" "$folder/completions" LICENSE CHANGELOG.md README.md hookbridge.toml deploy/systemd "$folder/$name"
tar --create --directory "$folder" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
    --mode=u+rw,go+r-w "$name" | gzip --no-name --best >"$out/$name.tar.gz"

cat >"$folder/changelog" <<END
hookbridge ($version-1) stable; urgency=medium

  * CHANGELOG.md, in the same folder, says what has changed.

 -- The hookbridge developers <hookbridge@localhost>  $(date --utc --date "@$SOURCE_DATE_EPOCH" --rfc-email)
END
if cargo deb --version >/dev/null 2>&1; then
    read -ra options <<<"${HOOKBRIDGE_DEB_OPTIONS:-}"
    cargo deb --no-build --no-strip --locked --output "$out/" "${options[@]}"
else
    echo "no .deb: cargo-deb is not installed"
fi
(cd "$out" && shopt -s nullglob && sha256sum -- *.tar.gz *.deb | tee SHA256SUMS)
