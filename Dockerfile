# An image that holds amlshim and nothing else: docker build -t amlshim .
# Others take the binary from it: COPY --from=amlshim /sbin/amlshim /sbin/amlshim
ARG DEBIAN=debian:trixie-slim
FROM ${DEBIAN} AS build
RUN apt-get update && apt-get install -y --no-install-recommends make
COPY . /src
RUN make -C /src

FROM scratch
COPY --from=build /src/build/amlshim /sbin/amlshim
ENTRYPOINT ["/sbin/amlshim", "--"]
