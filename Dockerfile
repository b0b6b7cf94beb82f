FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# `fast` (see Cargo.toml) builds in a fraction of the time, for CI and trials.
ARG PROFILE=release

# The dependencies first, in a layer that only Cargo.toml and Cargo.lock can invalidate. Cargo requires
# a file for each bench in the manifest, even if it does not build it.
COPY Cargo.toml Cargo.lock ./
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    mkdir -p src benches \
 && echo 'fn main() {}' | tee src/main.rs $(sed -n '/^\[\[bench\]\]/,/^$/s|^name = "\(.*\)"|benches/\1.rs|p' Cargo.toml) >/dev/null \
 && touch src/lib.rs \
 && cargo build --locked --bin phlo-2fa --profile "$PROFILE" \
 && rm -r src

# Then the program. COPY keeps modification times, which may be older than the stub just built.
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    touch src/main.rs src/lib.rs \
 && cargo build --locked --bin phlo-2fa --profile "$PROFILE" \
 && cp "target/$PROFILE/phlo-2fa" /phlo-2fa

# libc and libgcc, no shell, no package manager; uid 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="phlo-2fa" \
      org.opencontainers.image.description="Phone verification through Plivo that knows when a call should read the code out" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.authors="the phlo-2fa authors" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/phlo-2fa/
COPY --from=build /phlo-2fa /usr/local/bin/phlo-2fa
ENV BIND=0.0.0.0:8080
EXPOSE 8080
# The service is ready if Redis answers. On SIGTERM it stops being ready first, and exits within 10 s.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/phlo-2fa", "health"]
ENTRYPOINT ["/usr/local/bin/phlo-2fa"]
