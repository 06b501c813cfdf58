// SPDX-License-Identifier: Apache-2.0

package oda

import (
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Key identifies an object that claims a path: an ExposedAPI, or a VirtualService that somebody else made.
type Key struct {
	Kind      string
	Namespace string
	Name      string
}

// String gives the key as "ExposedAPI namespace/name".
func (k Key) String() string { return k.Kind + " " + k.Namespace + "/" + k.Name }

// API is what matters of an ExposedAPI, of whichever version and spelling.
type API struct {
	Key
	UID     types.UID
	Created time.Time
	Labels  map[string]string
	// Type is openapi, prometheus, openmetrics, mcp, ...
	Type string
	// Implementation is the name of a Service in the same namespace, or ImplementationExternal.
	Implementation string
	// Path begins with a slash.
	Path string
	// Port of the Service.
	Port int64
	// DeveloperUI is a path, "" for none.
	DeveloperUI string
	// Hostname that the API is reached under, "" for the gateway's.
	Hostname string
	// Segment of the Component, "" when unknown.
	Segment string
}

// Read takes from a custom resource what matters. Fields of a type other than declared read as empty, so that one
// resource that somebody wrote past a schema hinders nobody else; the error names the first of them.
func Read(u *unstructured.Unstructured) (API, error) {
	api := API{
		Key: Key{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()},
		UID: u.GetUID(), Created: u.GetCreationTimestamp().Time, Labels: u.GetLabels(),
	}
	spec, _, err := unstructured.NestedMap(u.Object, "spec")
	if err != nil {
		return api, fmt.Errorf("spec: %w", err)
	}
	var first error
	text := func(name string) string {
		value, ok := spec[name].(string)
		if !ok && spec[name] != nil && first == nil {
			first = fmt.Errorf("spec.%s is no text but %T", name, spec[name])
		}
		return value
	}
	api.Type = text("apiType")
	if api.Type == "" {
		api.Type = text("apitype")
	}
	api.Implementation, api.Path, api.DeveloperUI = text("implementation"), text("path"), text("developerUI")
	api.Hostname, api.Segment = text("hostname"), text("segment")
	port, ok := number(spec["port"])
	if !ok && first == nil {
		first = fmt.Errorf("spec.port is no number: %v", spec["port"])
	}
	api.Port = port
	return api, first
}

// number accepts the forms in which JSON readers give whole numbers, and digits in quotes, which only the legacy kinds,
// that have no schema, let through.
func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), n == float64(int64(n))
	case string:
		i, err := strconv.ParseInt(n, 10, 64)
		return i, err == nil
	}
	return 0, false
}

// Metrics tells whether APIs of this type serve metrics.
func Metrics(apiType string) bool { return apiType == "prometheus" || apiType == "openmetrics" }

// External tells whether the API is served outside of this cluster.
func (a API) External() bool { return a.Implementation == ImplementationExternal }

// InternalURL is where the API is reached from inside the cluster; path is its path or that of its developer UI.
func (a API) InternalURL(path string) string {
	return fmt.Sprintf("http://%s.%s.svc.cluster.local:%d%s", a.Implementation, a.Namespace, a.Port, path)
}
