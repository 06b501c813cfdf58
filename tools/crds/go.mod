// Modules whose files tests read: the CustomResourceDefinitions that Istio and prometheus-operator publish. No Go code
// imports them, so `go mod tidy` is not for this file.
module github.com/datapower-operator/datapower-operator/tools/crds

go 1.26.0

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
	istio.io/api v1.31.1
)
