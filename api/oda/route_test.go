// SPDX-License-Identifier: Apache-2.0

package oda_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

func read(t *testing.T, text string) (oda.API, error) {
	t.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &u.Object))
	return oda.Read(u)
}

func TestBothSpellingsOfAnAPIAreRead(t *testing.T) {
	for _, kind := range []string{"{apiVersion: oda.tmforum.org/v1, kind: ExposedAPI, ", "{apiVersion: oda.tmforum.org/v1beta2, kind: api, "} {
		field := "apiType"
		if kind[len(kind)-6:] == " api, " {
			field = "apitype"
		}
		a, err := read(t, kind+"metadata: {name: a, namespace: ns, labels: {l: v}}, spec: {"+field+
			": openmetrics, implementation: s, path: /p, port: 4000, developerUI: /ui, hostname: h, segment: coreFunction}}")
		require.NoError(t, err)
		assert.Equal(t, "openmetrics", a.Type)
		assert.Equal(t, oda.API{
			Key: a.Key, Created: a.Created, Labels: map[string]string{"l": "v"}, Type: "openmetrics", Implementation: "s", Path: "/p", Port: 4000,
			DeveloperUI: "/ui", Hostname: "h", Segment: "coreFunction",
		}, a)
		assert.Equal(t, "http://s.ns.svc.cluster.local:4000/ui", a.InternalURL(a.DeveloperUI))
	}
}

func TestAFieldOfAnotherTypeHindersNothingElse(t *testing.T) {
	a, err := read(t, `{kind: API, metadata: {name: a}, spec: {path: [x], implementation: s, port: "80"}}`)
	require.EqualError(t, err, "spec.path is no text but []interface {}")
	assert.Equal(t, "s", a.Implementation)
	assert.EqualValues(t, 80, a.Port)
	_, err = read(t, `{kind: API, metadata: {name: a}, spec: {port: not_defined}}`)
	require.EqualError(t, err, "spec.port is no number: not_defined")
	_, err = read(t, `{kind: API, metadata: {name: a}, spec: 1}`)
	require.Error(t, err)
}

func TestOnlyPrometheusAndOpenmetricsAreMetrics(t *testing.T) {
	for apiType, want := range map[string]bool{"prometheus": true, "openmetrics": true, "openapi": false, "mcp": false, "": false, "open-metrics": false} {
		assert.Equal(t, want, oda.Metrics(apiType), apiType)
	}
}

func TestWhereAnAPIIsRouted(t *testing.T) {
	api := oda.API{Key: oda.Key{Namespace: "n"}, Implementation: "s", Path: "/v4", Hostname: "api.example.com", Segment: oda.SegmentManagement}
	prefix := []oda.Match{{Path: "/v4"}}
	for name, c := range map[string]struct {
		settings oda.Settings
		want     oda.Route
		exposure oda.Exposure
	}{
		"as upstream":            {oda.Settings{Gateway: "g"}, oda.Route{Gateway: "n/g", Hosts: []string{"*"}, Path: "/v4", Matches: prefix}, oda.Routed},
		"under a public host":    {oda.Settings{Gateway: "c/g", PublicHostname: "10.1.2.3"}, oda.Route{Gateway: "c/g", Hosts: []string{"10.1.2.3"}, Path: "/v4", Matches: prefix}, oda.Routed},
		"under its own host":     {oda.Settings{Gateway: "./g", PublicHostname: "h", HostFromSpec: true}, oda.Route{Gateway: "n/g", Hosts: []string{"api.example.com"}, Path: "/v4", Matches: prefix}, oda.Routed},
		"by whole path segments": {oda.Settings{Gateway: "g", SegmentSafePrefix: true}, oda.Route{Gateway: "n/g", Hosts: []string{"*"}, Path: "/v4", Matches: []oda.Match{{Exact: true, Path: "/v4"}, {Path: "/v4/"}}}, oda.Routed},
		"not, when internal":     {oda.Settings{Gateway: "g", InternalSegments: []string{oda.SegmentManagement}}, oda.Route{}, oda.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			route, exposure := c.settings.Route(api)
			assert.Equal(t, c.want, route)
			assert.Equal(t, c.exposure, exposure)
		})
	}
	api.Implementation = "<external>"
	_, exposure := oda.Settings{Gateway: "g"}.Route(api)
	assert.Equal(t, oda.External, exposure)
}

func TestASegmentSafePathEndsWithoutSlashes(t *testing.T) {
	safe := oda.Settings{SegmentSafePrefix: true}
	assert.Equal(t, []oda.Match{{Exact: true, Path: "/v4"}, {Path: "/v4/"}}, safe.Matches("/v4//"))
	assert.Equal(t, []oda.Match{{Path: "/"}}, safe.Matches("/"))
}
