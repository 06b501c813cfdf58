# The operator's image, for those who have a container engine; `make image` builds the same content without one.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS=linux TARGETARCH
WORKDIR /source
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY helm-operator helm-operator
COPY internal internal
COPY sidecar sidecar
COPY webhooks webhooks
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o /out/ ./cmd/helm-operator ./cmd/sidecar

FROM scratch
COPY LICENSE watches.yaml /
COPY helm-charts /helm-charts
COPY --from=build /out/ /
ENV PATH=/
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/helm-operator"]
