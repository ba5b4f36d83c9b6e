#!/usr/bin/env bash
# packages.sh CACHE SUITE: makes, from packages, the root that the engine runs in and what base images are made of.
# The images are stand-ins: they have the names that Dockerfile and docker-compose.yml ask for, and the programs of the
# same versions where packages have those, but nobody else's files. Each part is made anew when what it is made of has
# changed. Called by engine.sh; inside.sh gives the folders to the engine.
set -euo pipefail

cache="$1" suite="$2"
images="$cache/images"
mkdir -p "$images" "$cache/data"

# The mirror that this machine's own packages come from.
mirror="$(apt-get indextargets --format "\$(REPO_URI) \$(LABEL)" 'Created-By: Packages' | sed -n 's/ Debian$//p' | head -n 1)"
[ -n "$mirror" ] || { echo "no Debian mirror among apt's sources"; exit 1; }

# Those that are missing here.
tools() {
    local wanted=() tool
    for tool in debootstrap flock:util-linux unshare:util-linux mvn:maven; do
        command -v "${tool%:*}" >/dev/null || wanted+=("${tool#*:}")
    done
    [ "${#wanted[@]}" = 0 ] && return
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${wanted[@]}"
}

# made FOLDER KEY COMMAND...: COMMAND, a function here, makes FOLDER.new, unless FOLDER was made by it with this KEY.
made() {
    local folder="$1" key
    key="$2 $(declare -f "$3" install_into | cksum)"
    shift 2
    [ "$(cat "$folder.key" 2>/dev/null)" = "$key" ] && return
    echo "making ${folder##*/}"
    rm -rf "$folder" "$folder.new" "$folder.key"
    # A step of its own, so that an error in the middle of it counts.
    "$@" "$folder.new"
    mv "$folder.new" "$folder"
    echo "$key" >"$folder.key"
}

# install ROOT PACKAGE...: no service is started.
install_into() {
    local root="$1"
    shift
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # Java's package runs Java, which needs /proc. Mounted for this command alone.
    # shellcheck disable=SC2016  # the inner shell is to expand them
    unshare --mount sh -euc '
        root="$1"
        shift
        mount -t proc proc "$root/proc"
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
            apt-get install -y --no-install-recommends "$@"
    ' install "$root" "$@"
    chroot "$root" apt-get clean
}

debian() {
    debootstrap --variant=minbase "$1" "$2" "$mirror"
}

engine_root() {
    cp -a "$cache/$suite" "$1"
    install_into "$1" docker.io docker-cli docker-compose docker-buildx iptables iproute2 python3 procps
    # There is no network there. The engine hands this file to containers.
    : >"$1/etc/resolv.conf"
}

java_root() {
    cp -a "$cache/$suite" "$1"
    install_into "$1" openjdk-21-jre-headless curl busybox prometheus
    rm -rf "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale}
}

# gcc, g++, make and perl as the image of Rust has them, and this machine's own compiler.
rust_root() {
    local sysroot program
    debootstrap --variant=minbase --include=gcc,g++,make,perl,ca-certificates bookworm "$1" "$mirror"
    chroot "$1" apt-get clean
    rm -rf "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale}
    sysroot="$(rustc --print sysroot)"
    mkdir -p "$1/usr/local/rustup" "$1/usr/local/cargo/bin"
    tar --create --directory "$sysroot" --exclude=./share . | tar --extract --directory "$1/usr/local/rustup"
    for program in "$1"/usr/local/rustup/bin/*; do
        ln -s "/usr/local/rustup/bin/${program##*/}" "$1/usr/local/cargo/bin/"
    done
}

# What the base image has that the binary runs on: glibc, libgcc_s, certificates, two users; no shell.
distroless_root() {
    local deb
    mkdir -p "$1"/{etc/ssl/certs,tmp,home/nonroot,run,proc,sys,dev} "$1.debs"
    (
        cd "$1.debs"
        chroot "$images/rust" apt-get update
        chroot "$images/rust" sh -c 'cd /tmp && apt-get download libc6 libgcc-s1 ca-certificates'
        mv "$images/rust"/tmp/*.deb .
        rm -rf "$images/rust"/var/lib/apt/lists/*
    )
    for deb in "$1.debs"/*.deb; do dpkg-deb --extract "$deb" "$1"; done
    rm -rf "$1.debs" "$1/usr/share/doc"
    cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
    printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$1/etc/passwd"
    printf 'root:x:0:\nnonroot:x:65532:\n' >"$1/etc/group"
    chmod 1777 "$1/tmp"
    chown 65532:65532 "$1/home/nonroot"
}

# Apache Kafka with its own container start-up class (kafka.docker.KafkaDockerWrapper, which turns KAFKA_ variables into
# server.properties), and the few scripts of /opt/kafka/bin that are used here, which no package has.
kafka_root() {
    local kafka="$1/opt/kafka"
    mkdir -p "$kafka"/{bin,config} "$1/etc/kafka/docker" "$1/var/lib/kafka/data" "$1/mnt/config"
    mvn -q -B -f "$repository/tests/servers/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$kafka/libs"
    [ -e "$kafka/libs/kafka_2.13-$kafka_version.jar" ] || {
        echo "docker-compose.yml has Kafka $kafka_version, tests/servers/kafka/pom.xml another one"
        return 1
    }
    cp "$repository"/deploy/check/engine/kafka/*.sh "$kafka/bin/"
    cp "$repository/deploy/check/engine/kafka/run" "$1/etc/kafka/docker/run"
    : >"$1/etc/kafka/docker/server.properties"
    for file in log4j2.yaml tools-log4j2.yaml; do
        cp "$repository/deploy/check/engine/kafka/log4j2.yaml" "$1/etc/kafka/docker/$file"
    done
    chmod 755 "$kafka"/bin/*.sh "$1/etc/kafka/docker/run"
    chown -R 1000:1000 "$kafka" "$1/etc/kafka" "$1/var/lib/kafka" "$1/mnt/config"
}

registry_root() {
    mkdir -p "$1/deployments"
    mvn -q -B dependency:copy "-Dartifact=io.apicurio:apicurio-registry-app:$registry_version:tar.gz:all" \
        -DoutputDirectory="$1"
    tar --extract --gzip --file "$1"/apicurio-registry-app-*.tar.gz --directory "$1/deployments"
    rm "$1"/apicurio-registry-app-*.tar.gz
    find "$1" -name quarkus-run.jar -printf '/%P\n' | head -n 1 >"$1/deployments/jar"
    install -D -m 755 "$repository/deploy/check/engine/registry/run-java.sh" "$1/opt/jboss/container/java/run/run-java.sh"
}

# Cargo's own way to build without a network: the crates' sources, and a setting that names them.
crates() {
    mkdir -p "$1"
    cargo vendor --locked --manifest-path "$repository/Cargo.toml" "$1/vendor" >/dev/null
    printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "/usr/local/cargo/vendor"\n' \
        >"$1/config.toml"
}

image_version() {
    sed -n "s#^ *image: $1:\([^ ]*\).*#\1#p" "$repository/docker-compose.yml"
}

repository="$PWD"
kafka_version="$(image_version apache/kafka)"
registry_version="$(image_version apicurio/apicurio-registry)"
kafka_files="$(cat "$repository"/deploy/check/engine/kafka/* "$repository/tests/servers/kafka/pom.xml" | cksum)"

tools
made "$cache/$suite" "$mirror" debian "$suite"
made "$cache/engine" "$suite" engine_root
made "$images/java" "$suite" java_root
made "$images/rust" "$(rustc --version)" rust_root
made "$images/distroless" bookworm distroless_root
made "$images/kafka" "$kafka_version $kafka_files" kafka_root
made "$images/registry" "$registry_version $(cat "$repository"/deploy/check/engine/registry/* | cksum)" registry_root
made "$images/crates" "$(cksum <"$repository/Cargo.lock")" crates
