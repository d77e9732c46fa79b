# The gateway as one static binary in an image with nothing else in it.

FROM rust:1.88-alpine3.22 AS build
# libz-ng is built with cmake; ring and mimalloc are C.
RUN apk add --no-cache build-base cmake perl
WORKDIR /trellis
COPY . .
RUN cargo build --release --locked --package trellis-gateway \
    && install -D target/release/trellis /image/trellis \
    && mkdir -p /image/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /image/trellis /trellis
# A volume that is mounted here belongs to whoever runs the gateway.
COPY --from=build --chown=65532:65532 /image/data /data
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["/trellis"]
CMD ["serve", "--config", "/etc/trellis"]
# For gateways whose admin listener is where `trellis ready` looks; others say where in their compose file.
HEALTHCHECK --interval=5s --timeout=3s CMD ["/trellis", "ready"]
