#!/usr/bin/env bash
# Holds the webhook listener against slowhttptest's four kinds of slow clients, and shows what others get meanwhile: the answers
# to one signed request a second with their slowest, and the memory before, at the most, and after, in two rounds. A kind ends early
# when the bridge has closed all of its connections. Not part of `cargo test`: it takes some minutes. Needs slowhttptest and curl.
#
#   tests/slowhttp.sh [PROGRAM [CONNECTIONS [SECONDS [ROUNDS]]]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program="${1:-target/release/hookbridge}" connections="${2:-4000}" seconds="${3:-60}" rounds="${4:-2}"
work="$(mktemp -d)"
webhooks=127.0.0.1:18080 admin=127.0.0.1:19464
"$program" dev --listen "$webhooks" --admin-listen "$admin" --kafka-listen 127.0.0.1:0 --registry-listen 127.0.0.1:0 >"$work/dev.log" 2>&1 &
bridge=$!
trap 'kill "$bridge" 2>/dev/null; wait "$bridge" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do curl -fsS "http://$admin/readyz" >/dev/null 2>&1 && break; sleep 0.1; done

memory() { awk '/VmRSS/ {print $2}' "/proc/$bridge/status"; }

body='{"event_key":"deal.updated","payload":{"id":"00000000-0000-4000-8000-0000000000d1"}}'
signature="$(printf %s "$body" | openssl dgst -sha256 -hmac demo-wegly-secret -r | cut -d' ' -f1)"
signed() {
    curl -sS -o /dev/null --max-time 10 -w '%{http_code} %{time_total}\n' -H 'content-type: application/json' \
        -H "x-wegly-signature: $signature" --data-raw "$body" "http://$webhooks/webhooks/wegly" || echo "000 10"
}

for _ in $(seq 50); do signed >/dev/null; done
printf '%-14s %11s %8s %11s %9s %9s %9s\n' mode connections answers 'slowest, s' 'KiB before' most after
for mode in $(for _ in $(seq "$rounds"); do echo H B R X; done); do
    case "$mode" in
        H) name='slow headers' ;; B) name='slow body' ;; R) name='ranges' ;; X) name='slow read' ;;
    esac
    before="$(memory)"
    more=()
    if [ "$mode" = X ]; then more=(-k 10 -w 1 -y 16 -n 5 -z 1); fi
    # With a right token, so that a body is read at all.
    slowhttptest "-$mode" -c "$connections" -r 500 -l "$seconds" -i 5 -p 3 -t POST "${more[@]}" \
        -f application/json -u "http://$webhooks/webhooks/whazing/demo-whazing-token" >"$work/$mode.log" 2>&1 &
    slow=$!
    most=0
    : >"$work/answers"
    while kill -0 "$slow" 2>/dev/null; do
        signed >>"$work/answers"
        now="$(memory)"
        [ "$now" -le "$most" ] || most="$now"
        sleep 1
    done
    wait "$slow" || { cat "$work/$mode.log"; exit 1; }
    # What is still open is closed by then.
    sleep 12
    answers="$(grep -c '^200 ' "$work/answers" || true)/$(wc -l <"$work/answers")"
    slowest="$(cut -d' ' -f2 "$work/answers" | sort -n | tail -n 1)"
    printf '%-14s %11s %8s %11s %9s %9s %9s\n' "$name" "$connections" "$answers" "$slowest" "$before" "$most" "$(memory)"
done
