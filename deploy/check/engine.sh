#!/usr/bin/env bash
# engine.sh prepare | engine.sh FOLDER COMMAND...: a container engine of this machine's own making, for checks.
#
#   engine.sh prepare              makes the engine and the base images from packages, if they are not there yet
#   engine.sh FOLDER COMMAND...    runs COMMAND in a copy of the project, beside an engine; FOLDER is seen as /out
#
# The engine is Docker of a Debian suite that has compose 2.24 or later (the compose file uses start_interval), in a root
# of its own. It runs in namespaces of its own (mounts, network, processes, IPC, host name): it reaches no network, nobody
# reaches it, and all of it ends with this script, however that ends. Its data stay in the cache, so that a second run
# finds the images made and the binary built. Needs root, apt-get, debootstrap, unshare, Maven and this machine's Rust.
#
#   HOOKBRIDGE_CI_CACHE            where all that is kept
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cache="${HOOKBRIDGE_CI_CACHE:-$HOME/.cache/hookbridge-ci}/deploy/engine"
mkdir -p "$cache"
cache="$(realpath "$cache")"
suite=trixie
# What the engine's containers are limited by; removed at the end.
group="hookbridge-check-$$"

# One at a time: two engines on one data folder destroy it.
exec 9>"$cache/lock"
flock --nonblock 9 || {
    echo "another run uses $cache"
    exit 1
}

if [ "$1" = prepare ]; then
    exec deploy/check/engine/packages.sh "$cache" "$suite"
fi
out="$(realpath "$1")"
shift

project="$cache/project"
engine=

# shellcheck disable=SC2317  # called by the trap
clean_up() {
    local tries folder
    # A second signal does not end this half-way.
    trap '' HUP INT TERM
    # Every process and mount of the namespaces ends with their first process, which ends with this one.
    if [ -n "$engine" ]; then
        kill -KILL "$engine" 2>/dev/null || true
        wait "$engine" 2>/dev/null || true
    fi
    rm -rf "$project"
    # The kernel's groups stay, and are empty a moment later.
    for tries in $(seq 100); do
        folder="$(find /sys/fs/cgroup -depth -type d -path "*/$group*" -print -quit 2>/dev/null)"
        [ -n "$folder" ] || return 0
        find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null || sleep 0.1
    done
    echo "left behind after $tries tries: $folder"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# A copy, since the checks write secrets and replace files. What is not committed and does not belong to the project stays.
rm -rf "$project"
mkdir -p "$project"
tar --create --exclude=./target --exclude=./.git --exclude=./data --exclude=./.env --exclude=./.venv \
    --exclude='./secrets/*/[!.]*' --exclude=./fuzz . | tar --extract --directory "$project"

# shellcheck disable=SC2016  # the inner shell is to expand them
setpriv --pdeathsig KILL unshare --mount --net --pid --ipc --uts --fork --kill-child=KILL bash -euc '
    root="$1" data="$2" project="$3" out="$4" group="$5"
    shift 5
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mkdir -p "$root"/{outside,project,out,data,var/lib/docker}
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    for folder in run tmp; do mount -t tmpfs tmpfs "$root/$folder"; done
    mount --bind "$data" "$root/var/lib/docker"
    mount --bind "$project" "$root/project"
    mount --bind "$out" "$root/out"
    mount --bind "$data/../images" "$root/data"
    cd "$root"
    pivot_root . outside
    umount --lazy /outside
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 GROUP="$group" \
        bash /project/deploy/check/engine/inside.sh "$@"
' engine "$cache/engine" "$cache/data" "$project" "$out" "$group" "$@" 9>&- &
engine=$!
code=0
wait "$engine" || code=$?
engine=
exit "$code"
