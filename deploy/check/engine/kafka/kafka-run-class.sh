#!/usr/bin/env bash
# A class of Kafka's with the heap of Kafka's own script of this name: KAFKA_HEAP_OPTS, else 256 MiB.
set -euo pipefail
read -ra heap <<<"${KAFKA_HEAP_OPTS:--Xmx256M}"
read -ra more <<<"${KAFKA_LOG4J_OPTS:-}"
exec java "${heap[@]}" -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
    -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true "${more[@]}" -cp '/opt/kafka/libs/*' "$@"
