#!/usr/bin/env bash
# image.sh BINARY KAFKA REGISTRY PREFIX METRICS: runs hookbridge as in a container of the Dockerfile's image.
# Lays a folder out as the Dockerfile's last stage does, mounts what docker-compose.yml mounts, and starts the program
# there: nothing can be written but /data, /media and /tmp, as user 65532, without rights. Sends it webhooks, which go to topics
# that begin with PREFIX, and ends it. Writes what /metrics said to METRICS. Needs root, curl, unshare and setpriv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

binary="$1" kafka="$2" registry="$3" prefix="$4" metrics="$5"
work="$(mktemp -d)"
image="$work/image"
pid=

clean_up() {
    if [ -n "$pid" ]; then
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "$*"
    cat "$work/log" 2>/dev/null || true
    exit 1
}

# One that nothing listens on now.
free_port() {
    local port
    for port in $(shuf -i 20000-29999 -n 50); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# within_a_minute COMMAND...: until it goes well, as long as the bridge runs.
within_a_minute() {
    local tries=300
    until "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ] || ! kill -0 "$pid" 2>/dev/null; then return 1; fi
        sleep 0.2
    done
}

readyz_is() {
    local code
    code="$(curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "http://127.0.0.1:$admin/readyz")"
    [ "$code" = "$1" ]
}

# counts PATTERN: of a whole line of /metrics.
counts() {
    curl --silent --fail --output "$metrics" "http://127.0.0.1:$admin/metrics" && grep -qxE "$1" "$metrics"
}

lay_out() {
    local library
    mkdir -p "$image"/{usr/local/bin,usr/share/doc/hookbridge,etc/hookbridge,etc/ssl/certs,run/secrets}
    mkdir -p "$image"/{dev,proc,tmp,data,media}
    # What the base image has.
    for library in $(ldd "$binary" | grep -o '/[^ ]*'); do
        case "${library##*/}" in
            libc.so.6 | libm.so.6 | libgcc_s.so.1 | ld-linux*) ;;
            *) fail "the binary needs $library, which the base image may not have" ;;
        esac
        mkdir -p "$image$(dirname "$library")"
        cp -L "$library" "$image$library"
    done
    if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
        cp -L /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
    fi
    # What the Dockerfile adds.
    cp "$binary" "$image/usr/local/bin/hookbridge"
    cp LICENSE "$image/usr/share/doc/hookbridge/LICENSE"
    chown 65532:65532 "$image/data" "$image/media"
    # What docker-compose.yml mounts.
    cp deploy/compose/hookbridge/hookbridge.toml "$image/etc/hookbridge/hookbridge.toml"
    printf '%s\n' check-wegly >"$image/run/secrets/wegly"
    printf '%s\n' check-whazing >"$image/run/secrets/whazing"
    chmod 444 "$image"/run/secrets/*
}

# in_image COMMAND...: takes the place of the shell that calls it, so that its process is the command's.
in_image() {
    local variables
    local folder
    folder="$(sed -n 's/^WORKDIR //p' Dockerfile | tail -n 1)"
    mapfile -t variables < <(sed -n '/^ENV /,/[^\\]$/p' Dockerfile | grep -o '[A-Z_]*=[^ \\]*')
    # shellcheck disable=SC2016  # the inner shell is to expand them
    exec env -i "${variables[@]}" "${settings[@]}" \
        setpriv --no-new-privs --bounding-set=-all,+setuid,+setgid,+sys_admin,+sys_chroot \
        unshare --mount bash -c '
            set -e
            PATH=/usr/sbin:/usr/bin:/sbin:/bin
            image="$1" folder="$2"
            shift 2
            mount --bind "$image" "$image"
            for part in data media; do mount --bind "$image/$part" "$image/$part"; done
            mount -t tmpfs -o nosuid,nodev,noexec tmpfs "$image/tmp"
            mount --rbind /dev "$image/dev"
            mount --rbind /proc "$image/proc"
            mount -o remount,bind,ro "$image"
            exec unshare --root="$image" --wd="$folder" --setgid 65532 --setuid 65532 -- "$@"
        ' in_image "$image" "$folder" "$@"
}

lay_out
webhooks="$(free_port)" admin="$(free_port)"
settings=(
    "HOOKBRIDGE__HTTP__LISTEN=127.0.0.1:$webhooks"
    "HOOKBRIDGE__ADMIN__LISTEN=127.0.0.1:$admin"
    "HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS=$kafka"
    "HOOKBRIDGE__REGISTRY__URL=$registry"
    "HOOKBRIDGE__KAFKA__TOPIC_PREFIX=$prefix"
    "HOOKBRIDGE__KAFKA__PARTITIONS=1"
)
find "$image" ! -path "$image/data*" ! -path "$image/media*" | sort >"$work/before"
in_image /usr/local/bin/hookbridge >"$work/log" 2>&1 &
pid=$!
within_a_minute readyz_is 200 || fail "it does not become ready"
# Ready it is with room in the spool alone.
within_a_minute counts "hookbridge_kafka_up 1" || fail "it does not find Kafka, or its topics"
# librdkafka tells of its brokers after some seconds, and the dashboard shows that.
within_a_minute counts 'hookbridge_kafka_broker_connections\{broker="[0-9]+"\} [1-9]' || fail "no word of Kafka's brokers"
within_a_minute counts 'hookbridge_schemas\{state="unknown"\} 0' || fail "it does not get the schemas' ids"
grep -E '^(Uid|CapEff|NoNewPrivs):' "/proc/$pid/status"
grep -q $'^Uid:\t65532\t65532' "/proc/$pid/status" || fail "it is another user"
grep -q $'^CapEff:\t0000000000000000$' "/proc/$pid/status" || fail "it has rights"

"$binary" send wegly deal.won --secret check-wegly --url "http://127.0.0.1:$webhooks" || fail "wegly"
"$binary" send whazing message.received --secret check-whazing --url "http://127.0.0.1:$webhooks" || fail "whazing"
"$binary" tail "${prefix}wegly.deal" --count 1 --format json --kafka "$kafka" --registry "$registry" | cut -c 1-200
counts 'hookbridge_http_requests_total\{code="published"\} 2' || fail "not published"

# HEALTHCHECK, and what docker-compose.yml asks.
if "$binary" health --help >/dev/null 2>&1; then
    (in_image /usr/local/bin/hookbridge health) || fail "health says no"
fi

kill -TERM "$pid"
within_a_minute readyz_is 503 || fail "/readyz does not fail within shutdown_delay"
code=0
wait "$pid" || code=$?
pid=
[ "$code" = 0 ] || fail "exit code $code after SIGTERM"
[ -f "$image/data/spool.db" ] || fail "no spool in /data"
find "$image" ! -path "$image/data*" ! -path "$image/media*" | sort | cmp - "$work/before" || fail "it wrote outside of /data and /media"
