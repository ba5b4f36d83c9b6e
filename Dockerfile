# Built by BuildKit (Docker 23 or later, or `buildah build`): docker build -t hookbridge .

# The compiler that the project is tested with; rust-version in Cargo.toml is the oldest that will do.
ARG RUST_VERSION=1.95.0

FROM rust:${RUST_VERSION}-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY avro avro
# The profiles that `hookbridge init` writes.
COPY examples/vendors examples/vendors
COPY src src
# Cargo reads Cargo.toml as a whole and refuses to build when a bench or a test that it names has no file, although the
# build below compiles neither. So the whole folders are copied: a list of names here would have to be kept up to date. When
# only a test changes, Cargo finds in `target` (a cache, below) that the binary is up to date.
COPY benches benches
COPY tests tests
# `dist` is what Cargo.toml has for what is shipped. For a trial, `--build-arg PROFILE=release` builds in a fraction of the time.
ARG PROFILE=dist
# The commit, which `hookbridge --version` says: --build-arg REVISION="$(git rev-parse HEAD)". There is no .git here.
ARG REVISION=unknown
# Set by BuildKit. Kernels for arm64 have pages of 4, 16 or 64 KiB; the allocator runs where they are no larger than it was built for.
ARG TARGETARCH
# The image of Rust has the C and C++ compiler, make and perl that librdkafka and OpenSSL are built with. `target` is a
# cache and no part of the image, so the binary is copied out.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    if [ "$TARGETARCH" = arm64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi \
    && HOOKBRIDGE_COMMIT="$REVISION" cargo build --profile "$PROFILE" --locked --bin hookbridge \
    && install -D -m 755 "target/$PROFILE/hookbridge" /out/hookbridge \
    && mkdir /out/data

# glibc, libgcc_s and certificate authorities, of the same Debian as the compiler's image: all that the binary needs. No
# shell. It has no tags of versions: give a digest where builds must be repeatable.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hookbridge" \
      org.opencontainers.image.description="Verified webhooks in, registered Avro records in Kafka out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE /usr/share/doc/hookbridge/LICENSE
COPY --from=build /out/hookbridge /usr/local/bin/hookbridge
# A new named volume takes over content and owner of what the image has at its place. /media is for files that consumers
# read; only a configuration that says so (media.url) uses it.
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/data /media
# The configuration is mounted here. It is found as in any folder, and not named, so that variables alone will do, and that tools and `dev`
# run without one.
WORKDIR /etc/hookbridge
# Variables go over the file: whoever mounts the volume elsewhere, or wants another address, sets these.
ENV HOOKBRIDGE__DATA_DIR=/data \
    HOOKBRIDGE__ADMIN__LISTEN=0.0.0.0:9464
USER 65532:65532
VOLUME ["/data"]
EXPOSE 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/hookbridge", "health"]
ENTRYPOINT ["/usr/local/bin/hookbridge"]
