#!/usr/bin/env bash
# Starts the registry in the stand-in of its image, with a heap that is a share of the container's memory.
exec java -XX:MaxRAMPercentage=50 -XX:+UseParallelGC -XX:+ExitOnOutOfMemoryError -Dquarkus.http.host=0.0.0.0 \
    -jar "$(cat /deployments/jar)"
