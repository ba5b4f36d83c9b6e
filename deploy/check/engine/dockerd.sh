#!/usr/bin/env bash
# Starts the engine within its namespaces and waits until it answers. GROUP: the group of its containers. Called by
# inside.sh, and by a scenario that restarts the engine.
set -euo pipefail

# Left by an engine that was killed.
rm -rf /run/docker.pid /run/docker/containerd/containerd.pid
setsid dockerd --group root --host unix:///run/docker.sock --data-root /var/lib/docker --exec-root /run/docker \
    --storage-driver overlay2 --cgroup-parent "/$GROUP" --log-level warn >>/tmp/dockerd.log 2>&1 </dev/null &
for _ in $(seq 300); do
    if docker version >/dev/null 2>&1; then exit 0; fi
    sleep 0.1
done
echo "the engine does not start:"
tail -n 20 /tmp/dockerd.log
exit 1
