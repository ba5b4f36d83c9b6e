#!/usr/bin/env bash
# inside.sh COMMAND...: the first process of the engine's namespaces. Starts the engine, gives it the base images under the
# names that Dockerfile and docker-compose.yml ask for, and runs COMMAND in /project. Everything ends with it. Called by
# engine.sh; the folders of packages.sh are in /data.
set -euo pipefail
cd /project

ip link set lo up
mkdir -p /run/lock
# The kernel of the machine decides which of the two has all that the engine needs.
if ! iptables --table nat --list >/dev/null 2>&1; then
    update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null
    update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null
fi
deploy/check/engine/dockerd.sh

# Whatever a run that was cut off left: its containers, networks and volumes, but no image.
docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
docker volume ls --quiet | xargs --no-run-if-empty docker volume rm --force >/dev/null
docker network prune --force >/dev/null

# has IMAGE KEY: whether it was made of the part with this key.
has() {
    [ "$(docker image inspect --format '{{index .Config.Labels "hookbridge.check"}}' "$1" 2>/dev/null)" = "$2" ]
}

# import PART IMAGE KEY CHANGE...: an image that is the folder of that part.
import() {
    local part="$1" image="$2" key="$3" change changes=()
    shift 3
    has "$image" "$key" && return
    echo "importing $image"
    for change in "$@"; do changes+=(--change "$change"); done
    tar --create --directory "/data/$part" . |
        docker import --change "LABEL hookbridge.check=\"$key\"" "${changes[@]}" - "$image" >/dev/null
}

# layer PART IMAGE KEY: what standard input says, with that part's folder as the context.
layer() {
    local part="$1" image="$2" key="$3"
    has "$image" "$key" && return
    echo "building $image"
    docker build --quiet --pull=false --label "hookbridge.check=$key" --tag "$image" --file - "/data/$part" >/dev/null
}

key() {
    cat "$@" deploy/check/engine/inside.sh | cksum | tr ' ' -
}

path="PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
rust="$(sed -n 's/^ARG RUST_VERSION=//p' Dockerfile)"
last="$(sed -n 's/^FROM \([^ ]*\)$/\1/p' Dockerfile | tail -n 1)"
kafka="$(sed -n 's/^ *image: \(apache\/kafka:.*\)/\1/p' docker-compose.yml)"
registry="$(sed -n 's/^ *image: \(apicurio\/.*\)/\1/p' docker-compose.yml)"
prometheus="$(sed -n 's/^ *image: \(prom\/.*\)/\1/p' docker-compose.yml)"

base="$(key /data/rust.key)"
import rust hookbridge-check/rust:local "$base" "ENV $path" "ENV CARGO_HOME=/usr/local/cargo"
layer crates "rust:$rust-bookworm" "$(key /data/rust.key /data/crates.key)" <<'END'
FROM hookbridge-check/rust:local
COPY vendor /usr/local/cargo/vendor
COPY config.toml /usr/local/cargo/config.toml
END
import distroless "$last" "$(key /data/distroless.key)" "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt" "USER 65532" "WORKDIR /home/nonroot"
java="$(key /data/java.key)"
import java hookbridge-check/java:local "$java" "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
layer kafka "$kafka" "$(key /data/java.key /data/kafka.key)" <<'END'
FROM hookbridge-check/java:local
COPY --chown=1000:1000 . /
USER 1000
VOLUME ["/var/lib/kafka/data"]
CMD ["/etc/kafka/docker/run"]
END
layer registry "$registry" "$(key /data/java.key /data/registry.key)" <<'END'
FROM hookbridge-check/java:local
COPY --chown=1001:0 . /
USER 1001
WORKDIR /deployments
CMD ["/opt/jboss/container/java/run/run-java.sh"]
END
layer crates "$prometheus" "$java" <<'END'
FROM hookbridge-check/java:local
RUN ["busybox", "ln", "-s", "/bin/busybox", "/bin/wget"]
RUN ["busybox", "install", "-d", "-o", "65534", "-g", "65534", "/prometheus"]
USER 65534
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
END

# Not `exec`: the first process of a namespace has to collect the others' ends.
code=0
"$@" || code=$?
docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >/dev/null 2>&1 || true
exit "$code"
