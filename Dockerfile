# syntax=docker/dockerfile:1
# The image of reroll: one binary on distroless, without a shell, as a user that is not root.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg REVISION=$(git rev-parse HEAD) \
#     --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) .
#
# The same sources give the same image, whoever builds it: dependencies by Cargo.lock, base images by digest where a
# release pins them (RUST_IMAGE, RUNTIME_IMAGE), no paths of the builder in the binary, no times but the commit's.
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-trixie
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

# Compiles on the builder's own platform for the target's, which is minutes where emulation is an hour.
FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS build
ARG TARGETPLATFORM
WORKDIR /build

# Builder and runtime are of the same Debian, so that the glibc that is linked is the one that is there. A C compiler is
# for aws-lc, the cryptography of rustls, and for jemalloc, which needs make as well.
RUN <<END
set -eu
case "$TARGETPLATFORM" in
  linux/amd64) arch=amd64 gnu=x86_64-linux-gnu target=x86_64-unknown-linux-gnu ;;
  linux/arm64) arch=arm64 gnu=aarch64-linux-gnu target=aarch64-unknown-linux-gnu ;;
  *) echo "no recipe for $TARGETPLATFORM" >&2 && exit 1 ;;
esac
packages=make
if [ "$arch" != "$(dpkg --print-architecture)" ]; then
  packages="$packages gcc-$(echo "$gnu" | tr _ -) libc6-dev-$arch-cross"
fi
apt-get update
apt-get install --yes --no-install-recommends $packages
rm -rf /var/lib/apt/lists/*
rustup target add "$target"
cat >/target.env <<VARIABLES
export CARGO_BUILD_TARGET=$target
export CARGO_TARGET_$(echo "$target" | tr a-z- A-Z_)_LINKER=$gnu-gcc
export CC_$(echo "$target" | tr - _)=$gnu-gcc
VARIABLES
END

COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo/config.toml .cargo/
COPY src src
# Not built here, but Cargo.toml names them.
COPY tests/bin/under_test.rs tests/bin/
COPY tests/node/main.rs tests/node/
COPY tests/harness/Cargo.toml tests/harness/
COPY tests/harness/src/lib.rs tests/harness/src/
COPY schedules/Cargo.toml schedules/
COPY simulation/Cargo.toml simulation/
COPY schedules/src/lib.rs schedules/src/main.rs schedules/src/
COPY simulation/src/lib.rs simulation/src/
COPY benches/cluster/main.rs benches/cluster/
COPY benches/commands/main.rs benches/commands/
COPY benches/micro/main.rs benches/micro/
COPY benches/scale/main.rs benches/scale/
ARG SOURCE_DATE_EPOCH=0
# The commit, which the binary tells: there is no .git here.
ARG REVISION
# The cache holds downloads only: with one for target/, cargo would go by modification times, and miss changes.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked <<END
set -eu
. /target.env
export CARGO_INCREMENTAL=0 SOURCE_DATE_EPOCH REROLL_COMMIT="${REVISION-}"
export RUSTFLAGS="--remap-path-prefix=/build=/reroll --remap-path-prefix=/usr/local/cargo=/cargo"
cargo build --release --locked --bin reroll
install -D -m 0555 "target/$CARGO_BUILD_TARGET/release/reroll" /image/usr/local/bin/reroll
touch --date="@$SOURCE_DATE_EPOCH" /image/usr/local/bin/reroll
END
COPY LICENSE /image/usr/share/doc/reroll/LICENSE

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION
LABEL org.opencontainers.image.title="reroll" \
  org.opencontainers.image.description="Rolls Kubernetes workloads when a Secret or ConfigMap they use changes or is recreated: once, and only then" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.source="https://github.com/reroll-dev/reroll" \
  org.opencontainers.image.documentation="https://github.com/reroll-dev/reroll/tree/main/charts/reroll" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION"
COPY --from=build /image/ /
# By number: a kubelet cannot tell whether a name is root (runAsNonRoot).
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["/usr/local/bin/reroll"]
CMD ["run"]
