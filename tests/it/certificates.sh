#!/bin/sh
# Makes a certificate authority and certificates of it in the folder $1: server.pem and client.pem with their keys in front,
# as Kafka and librdkafka read them; expired.pem is no longer valid a second after it was made; stranger.pem is of another
# authority.
set -eu
cd "$1"
key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
authority() {
    # shellcheck disable=SC2086
    openssl req -x509 $key -keyout "$1.key" -out "$1.pem" -days 30 -subj "/CN=$1"
}
# certificate NAME AUTHORITY DAYS
certificate() {
    # shellcheck disable=SC2086
    openssl req $key -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days "$3" -extfile names -out "$1.crt"
    cat "$1.key" "$1.crt" >"$1.pem"
}
echo "subjectAltName=IP:127.0.0.1,DNS:localhost" >names
authority ca
authority others
certificate server ca 30
certificate client ca 30
certificate expired ca 0
certificate stranger others 30
