#!/usr/bin/env bash
# start.sh COMMAND...: starts the registry (COMMAND) once Kafka answers, and again when it ends. docker-compose.yml mounts it.
# Apicurio opens its journal in Kafka once, at its start. If Kafka does not answer then, or has not finished making the
# topics (UnknownTopicOrPartitionException), it ends, or it runs on and is never ready: health.sh ends it then. Started again
# here and not by the engine, since `docker compose up --wait` fails when a container ends.
set -u
kafka="${APICURIO_KAFKASQL_BOOTSTRAP_SERVERS%%,*}"
child='' ending=''

trap 'ending=yes; [ -z "$child" ] || kill -TERM "$child"' TERM INT

# On a host without this name or a port that refuses, the subshell fails at once.
answers() {
    (exec 3<>"/dev/tcp/${kafka%:*}/${kafka##*:}") 2>/dev/null
}

while [ -z "$ending" ]; do
    if ! answers; then
        sleep 1
        continue
    fi
    "$@" &
    child=$!
    echo "$child" >/tmp/registry.pid
    # A signal ends `wait`, not the registry.
    while kill -0 "$child" 2>/dev/null; do wait "$child"; done
    child=''
    [ -n "$ending" ] || echo "the registry ended: starting it again"
done
