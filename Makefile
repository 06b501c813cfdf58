# The operator for IBM DataPower Gateway. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export CGO_ENABLED ?= 0

VERSION     ?= 0.1.0
IMAGE_ARCH  ?= amd64,arm64
REPLACES    ?= # the version before, in the channel of the OLM bundle
BIN         := $(CURDIR)/bin
CLUSTER     := $(CURDIR)/.cluster
CLUSTER_BIN := $(or $(DATAPOWER_CLUSTER_BIN),$(CLUSTER)/bin)
KUBECONFIG  ?= $(CLUSTER)/kubeconfig
export KUBECONFIG
GO          ?= go
PACKAGES    := ./...
# The name by which the chart's defaults know a gateway for tests, so that samples run with the stand-in as they are.
GATEWAY_IMAGE   ?= cp.icr.io/cp/datapower/datapower-nonprod:10.6.0.10sr1
GATEWAY_ARCHIVE ?= dist/datapower-gateway-standin.tar

##@ The two commands

.PHONY: demo
demo: build cluster-up $(BIN)/gateway ## Show the main job on a local cluster, break things, watch the repair; leaves the cluster up
	hack/demo.sh

.PHONY: test
test: verify lint test-go e2e ## Everything CI runs: generated files, linters, unit, golden, integration and (as root) end-to-end tests

##@ Development

.PHONY: help
help: ## List every target
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9A-Z_-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the operator's programs into bin/
	@echo "building the operator's programs (the first time takes some minutes)"
	$(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/ ./cmd/...

.PHONY: $(BIN)/gateway
$(BIN)/gateway:
	$(GO) build -trimpath -ldflags '-s -w' -o $@ ./test/gateway/cmd/gateway

.PHONY: run
run: build ## Install the CRDs and run the operator's programs on this machine against KUBECONFIG until interrupted
	hack/run.sh

.PHONY: install
install: cluster-build ## Install the CRDs into the cluster of KUBECONFIG
	$(CLUSTER_BIN)/kubectl apply --server-side -k config/crd

.PHONY: uninstall
uninstall: cluster-build ## Remove the CRDs and with them every DataPowerService
	$(CLUSTER_BIN)/kubectl delete --ignore-not-found -k config/crd

.PHONY: deploy
deploy: install ## Install the operator into the cluster of KUBECONFIG; IMAGE=, NAMESPACE=, WATCH_NAMESPACE=a,b (empty: all)
	KUBECTL=$(CLUSTER_BIN)/kubectl hack/manifests.sh | $(CLUSTER_BIN)/kubectl apply --server-side -f -

.PHONY: undeploy
undeploy: cluster-build ## Remove the operator, with the settings of make deploy; the CRDs and what users made stay (make uninstall)
	KUBECTL=$(CLUSTER_BIN)/kubectl hack/manifests.sh | $(CLUSTER_BIN)/kubectl delete --ignore-not-found -f -

.PHONY: manifests
manifests: cluster-build ## Print what make deploy applies beside the CRDs
	@KUBECTL=$(CLUSTER_BIN)/kubectl hack/manifests.sh

##@ Local cluster

.PHONY: cluster-build
cluster-build: ## Build Kubernetes from Go modules into .cluster/bin (about five minutes the first time)
	$(GO) run ./test/cluster/cmd/cluster build

.PHONY: need-node
need-node:
	@hack/need.sh containerd containerd runc runc iproute2 ip iptables iptables conntrack conntrack \
		containernetworking-plugins /usr/lib/cni/bridge

.PHONY: cluster-build-node
cluster-build-node:
	$(GO) run ./test/cluster/cmd/cluster build --real-node

.PHONY: cluster-up
cluster-up: ## Start Kubernetes with simulated nodes; kubeconfig in .cluster/kubeconfig; NODE=real (root): with one that runs pods
	$(if $(filter real,$(NODE)),@$(MAKE) need-node)
	$(GO) run ./test/cluster/cmd/cluster up $(if $(filter real,$(NODE)),--real-node)

.PHONY: cluster-down
cluster-down: ## Stop the local cluster and what runs against it
	@hack/operator.sh stop
	$(GO) run ./test/cluster/cmd/cluster down

.PHONY: cluster-status
cluster-status: ## Tell whether the local cluster runs
	@$(GO) run ./test/cluster/cmd/cluster status || true

##@ Tests and checks

.PHONY: test-go
test-go: build cluster-build cluster-build-node need-node $(BIN)/kubeconform $(BIN)/kube-score ## Unit, golden and integration tests
	@hack/need.sh prometheus promtool
	KUBEBUILDER_ASSETS=$(CLUSTER_BIN) DATAPOWER_CLUSTER_BIN=$(CLUSTER_BIN) DATAPOWER_BIN=$(BIN) \
		$(GO) test -timeout 40m $(PACKAGES)
	cd tools/image && $(GO) test ./...
	cd tools/bundle && $(GO) test ./...

.PHONY: e2e
e2e: $(BIN)/image cluster-build-node ## Install by manifests and by OLM on a real node, in real pods; root on Debian. E2E_ONLY=manifests|olm
	hack/e2e.sh

.PHONY: test-unit
test-unit: ## Only the tests that need no cluster
	env -u KUBEBUILDER_ASSETS $(GO) test $(PACKAGES)

.PHONY: test-faults
test-faults: build cluster-build ## Every crash point and 20 rounds of kill -9 (make test runs a sample)
	FAULTS=full KUBEBUILDER_ASSETS=$(CLUSTER_BIN) DATAPOWER_CLUSTER_BIN=$(CLUSTER_BIN) DATAPOWER_BIN=$(BIN) \
		$(GO) test -timeout 120m -v ./test/faults/...
	FAULTS=full DATAPOWER_CLUSTER_BIN=$(CLUSTER_BIN) DATAPOWER_BIN=$(BIN) \
		$(GO) test -timeout 120m -run TestKilling -v ./test/integration/monitor

.PHONY: test-idle
test-idle: build cluster-build ## Ten minutes in which both programs ask the API server for nothing, by its audit log
	IDLE=10m KUBEBUILDER_ASSETS=$(CLUSTER_BIN) DATAPOWER_CLUSTER_BIN=$(CLUSTER_BIN) DATAPOWER_BIN=$(BIN) \
		$(GO) test -count=1 -timeout 20m -v ./test/integration/idle

.PHONY: bench
bench: build cluster-build ## Measure the reconciler beside the stock one and a bare client, and the webhooks; BENCH_FLAGS="-n 10,100"
	DATAPOWER_CLUSTER_BIN=$(CLUSTER_BIN) $(GO) run ./test/bench/cmd/bench $(BENCH_FLAGS)
	DATAPOWER_CLUSTER_BIN=$(CLUSTER_BIN) DATAPOWER_BIN=$(BIN) $(GO) test -run '^$$' -bench . ./webhooks/admission ./test/integration/webhooks

.PHONY: bench-storm
bench-storm: build cluster-build ## All pods of 1,000 services deleted at once: what the monitors make of it; MONITOR_STORM=n
	MONITOR_STORM=$${MONITOR_STORM:-1000} DATAPOWER_CLUSTER_BIN=$(CLUSTER_BIN) DATAPOWER_BIN=$(BIN) \
		$(GO) test -timeout 60m -run TestStorm -v ./test/integration/monitor

.PHONY: update-golden
update-golden: cluster-build ## Rewrite the golden files; read the diff before committing it
	KUBEBUILDER_ASSETS=$(CLUSTER_BIN) $(GO) test ./test/chart/... -update
	$(GO) test ./test/exposedapichart -update

.PHONY: pictures
pictures: build cluster-up $(BIN)/gateway ## Draw the dashboards into docs/images with the data of ten eventful minutes of three replicas
	@hack/need.sh prometheus prometheus
	@hack/need.sh chromium chromium
	@hack/need.sh npm npm
	npm ci --prefix hack/pictures --no-audit --no-fund
	$(GO) build -o $(BIN)/pictures ./hack/pictures
	hack/pictures/scene.sh

.PHONY: image
image: $(BIN)/image ## Build the operator's image as an OCI archive, dist/datapower-operator.tar; no container engine needed; IMAGE_ARCH=amd64
	$(BIN)/image --repository=. --output=dist/datapower-operator.tar --arch=$(IMAGE_ARCH) --version=$(VERSION)

.PHONY: image-gateway
image-gateway: $(BIN)/image ## Build the image of the stand-in for gateways, for tests in real pods; GATEWAY_IMAGE=name:tag
	@hack/need.sh busybox-static busybox
	@mkdir -p dist && cp "$$(command -v busybox)" dist/sh
	$(BIN)/image --repository=. --output=$(GATEWAY_ARCHIVE) --programs=./test/gateway/cmd/gateway \
		--name=$(word 1,$(subst :, ,$(GATEWAY_IMAGE))) --version=$(word 2,$(subst :, ,$(GATEWAY_IMAGE))) \
		--files=LICENSE,dist/sh:bin/sh,test/gateway/image/start.sh:start.sh \
		--writable=/opt/ibm/datapower/drouter,/opt/ibm/datapower/root/secure,/usr/local/extra,/tmp

$(BIN)/image: tools/image/main.go tools/image/modules.go tools/image/go.sum
	cd tools/image && $(GO) build -o $@ .

.PHONY: bundle
bundle: ## Make bundle/ and catalog/ for OLM of config/; VERSION=, IMAGE=...@sha256:..., BUNDLE_IMAGE=, REPLACES=0.0.9
	cd tools/bundle && $(GO) run . --repository=../.. --version=$(VERSION) --image=$(IMAGE) --bundle-image=$(BUNDLE_IMAGE) --replaces=$(REPLACES)

.PHONY: bundle-image
bundle-image: bundle $(BIN)/image ## Build the bundle's image as an OCI archive, dist/datapower-operator-bundle.tar
	$(BIN)/image --repository=. --output=dist/datapower-operator-bundle.tar --arch=amd64,arm64 --name=datapower-operator-bundle --version=$(VERSION) \
		--programs= --files=bundle/manifests:manifests,bundle/metadata:metadata,bundle/tests:tests --labels-of=bundle/metadata/annotations.yaml

.PHONY: image-olm
image-olm: $(BIN)/image ## Build the Operator Lifecycle Manager and images of it, for the test of the bundle, into dist/olm/
	tools/olm/images.sh

.PHONY: lint
lint: $(BIN)/staticcheck $(BIN)/helm ## gofmt, go vet, staticcheck, shellcheck (where installed), helm lint
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "not formatted (run gofmt -w):"; echo "$$files"; exit 1; }
	$(GO) vet $(PACKAGES)
	$(BIN)/staticcheck $(PACKAGES)
	@if command -v shellcheck >/dev/null; then shellcheck $$(git ls-files '*.sh') .ci/run; else echo "shellcheck is not installed: skipped"; fi
	$(BIN)/helm lint --strict helm-charts/*/

.PHONY: generate
generate: $(BIN)/controller-gen $(BIN)/crd-ref-docs ## Regenerate deep copies, CRDs, references, chart schema and README, the list of metrics, the OLM bundle
	$(BIN)/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	$(BIN)/controller-gen crd paths=./api/datapower/... output:crd:artifacts:config=config/crd/bases
	$(BIN)/controller-gen crd paths=./api/oda/v1 paths=./api/oda/v1beta3 paths=./api/oda/v1beta4 output:crd:artifacts:config=config/crd/oda/bases
	$(GO) run ./hack/chartdoc
	$(GO) run ./hack/metricsdoc
	$(API_REFERENCE) --source-path=api/datapower/v1beta3 --output-path=docs/reference/datapowerservice.md
	$(API_REFERENCE) --source-path=api/datapower/v1beta2 --output-path=docs/reference/datapowermonitor.md
	$(API_REFERENCE) --source-path=api/oda/v1 --output-path=docs/reference/exposedapi.md
	$(MAKE) bundle IMAGE= BUNDLE_IMAGE=

API_REFERENCE = $(BIN)/crd-ref-docs --config=tools/apidocs/config.yaml --renderer=markdown --templates-dir=tools/apidocs/templates --log-level=ERROR

.PHONY: verify
verify: ## Fail when generated files are not what the sources give
	hack/verify.sh

##@ Tools

$(BIN)/controller-gen: tools/dev/go.sum
	cd tools/dev && $(GO) build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(BIN)/crd-ref-docs: tools/apidocs/go.sum
	cd tools/apidocs && $(GO) build -o $@ github.com/elastic/crd-ref-docs

$(BIN)/kubeconform: tools/dev/go.sum
	cd tools/dev && $(GO) build -o $@ github.com/yannh/kubeconform/cmd/kubeconform

$(BIN)/kube-score: tools/kubescore/go.sum
	cd tools/kubescore && $(GO) build -o $@ github.com/zegl/kube-score/cmd/kube-score

$(BIN)/staticcheck: tools/dev/go.sum
	cd tools/dev && $(GO) build -o $@ honnef.co/go/tools/cmd/staticcheck

# Helm takes the Kubernetes version that it assumes without a cluster from the linker.
HELM_LDFLAGS := -s -w \
	-X helm.sh/helm/v3/internal/version.version=$(shell $(GO) list -m -f '{{.Version}}' helm.sh/helm/v3 2>/dev/null) \
	-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36

$(BIN)/helm: go.sum
	$(GO) build -trimpath -ldflags "$(HELM_LDFLAGS)" -o $@ helm.sh/helm/v3/cmd/helm

.PHONY: helm
helm: $(BIN)/helm ## Build the helm command into bin/

.PHONY: clean
clean: cluster-down ## Remove everything that was built
	rm -rf $(BIN) $(CLUSTER)
