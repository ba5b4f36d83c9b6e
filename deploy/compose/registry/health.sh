#!/bin/sh
# The registry's health check in docker-compose.yml: is it ready, and if it never will be, end it.
# Apicurio that missed Kafka at its start runs on and answers "not ready" (503) for good; one that reads its journal does so
# for some seconds. A minute is enough to tell them apart. The engine starts it again (`restart: unless-stopped`).
set -u
since=/tmp/not-ready-since

code="$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' http://localhost:9000/health/ready)"
case "$code" in
    200)
        rm -f "$since"
        exit 0
        ;;
    503)
        now="$(date +%s)"
        [ -s "$since" ] || echo "$now" >"$since"
        if [ $((now - $(cat "$since"))) -ge 60 ]; then
            echo "not ready for a minute: ending it, so that it is started again"
            rm -f "$since"
            kill -TERM 1
        fi
        ;;
    # Starting, or hanging.
    *) rm -f "$since" ;;
esac
exit 1
