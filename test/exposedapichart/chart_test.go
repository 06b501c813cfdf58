// SPDX-License-Identifier: Apache-2.0

// Package exposedapichart_test renders the chart exposedapi as the operator does: the spec of a resource, what the mapper
// adds, and the overrides of watches.yaml, expanded from an environment.
package exposedapichart_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"pgregory.net/rapid"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper/exposedapi"
	"github.com/datapower-operator/datapower-operator/helm-operator/render"
	"github.com/datapower-operator/datapower-operator/helm-operator/values"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

const repository = "../.."

// served is what the API server of a complete cluster offers.
var served = chartutil.VersionSet{
	"networking.istio.io/v1alpha3/VirtualService", "networking.istio.io/v1beta1/VirtualService", "networking.istio.io/v1/VirtualService",
	"monitoring.coreos.com/v1/ServiceMonitor",
}

// bench is the chart with the overrides of watches.yaml.
type bench struct {
	chart     *chart.Source
	overrides map[string]any
}

func newBench(t testing.TB) bench {
	t.Helper()
	ws, err := watches.Load(filepath.Join(repository, "watches.yaml"))
	require.NoError(t, err)
	for _, w := range ws {
		if w.Kind == oda.KindExposedAPI {
			src, err := chart.Load(w.ChartPath)
			require.NoError(t, err)
			return bench{chart: src, overrides: w.OverrideValues}
		}
	}
	require.Fail(t, "watches.yaml has no ExposedAPI")
	return bench{}
}

// render returns the objects that a resource becomes in the environment of the process.
func (b bench) render(cr *unstructured.Unstructured, offered chartutil.VersionSet, operator map[string]any) ([]*unstructured.Unstructured, error) {
	overrides, err := values.ParseOverrides(b.overrides, nil)
	if err != nil {
		return nil, err
	}
	labels := map[string]any{}
	for k, v := range cr.GetLabels() {
		labels[k] = v
	}
	known := map[string]any{"name": cr.GetName(), "labels": labels}
	for k, v := range operator {
		known[k] = v
	}
	spec, _, err := unstructured.NestedMap(cr.Object, "spec")
	if err != nil {
		return nil, err
	}
	vals, err := overrides.Merge(spec, map[string]any{"operator": known})
	if err != nil {
		return nil, err
	}
	caps := chartutil.DefaultCapabilities.Copy()
	caps.APIVersions = offered
	caps.KubeVersion = chartutil.KubeVersion{Version: "v1.36.0", Major: "1", Minor: "36"}
	out, err := render.Render(render.Request{
		Chart: b.chart.Copy(), Values: vals, Capabilities: caps,
		Release: chartutil.ReleaseOptions{Name: cr.GetName(), Namespace: cr.GetNamespace(), Revision: 1, IsInstall: true},
	})
	if err != nil {
		return nil, err
	}
	return inventory.Parse(out.Manifest)
}

func resource(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	cr := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &cr.Object))
	if cr.GetNamespace() == "" {
		cr.SetNamespace("components")
	}
	return cr
}

// api1 is the API of upstream's test CREATE_APISTATUS_1, api2 that of CREATE_APISTATUS_2, with further fields.
func api1(t testing.TB, fields string) *unstructured.Unstructured {
	return resource(t, `
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {name: catalog, labels: {oda.tmforum.org/componentName: prdcat3}}
spec: {name: catalog, apiType: openapi, implementation: prodcatapi, path: /prdcat3/v4, port: 8080, `+fields+`}`)
}

func api2(t testing.TB, fields string) *unstructured.Unstructured {
	return resource(t, `
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {name: metrics}
spec: {name: metrics, apiType: prometheus, implementation: prdcat3-sm, path: /prdcat3/metrics, port: 4000, `+fields+`}`)
}

// The table in section 9 of what is known of upstream, as far as it is about rendered objects.
func TestTheGoldenTable(t *testing.T) {
	b := newBench(t)
	type env map[string]string
	const virtualService, monitored = "VirtualService", "ServiceMonitor"
	for name, c := range map[string]struct {
		cr             *unstructured.Unstructured
		env            env
		kinds          []string
		hosts, gateway string
	}{
		"_1":                                  {api1(t, ""), nil, []string{virtualService}, "*", "component-gateway"},
		"_1 PUBLICHOSTNAME=10.1.2.3":          {api1(t, ""), env{"APIOPERATORISTIO_PUBLICHOSTNAME": "10.1.2.3"}, []string{virtualService}, "10.1.2.3", "component-gateway"},
		"_4 with a public name and a gateway": {api1(t, "specification: [{url: x}]"), env{"APIOPERATORISTIO_PUBLICHOSTNAME": "components.example.com", "APIOPERATORISTIO_COMPONENTGATEWAY": "canvas/component-gateway"}, []string{virtualService}, "components.example.com", "canvas/component-gateway"},
		"_2 ServiceMonitor":                   {api2(t, ""), nil, []string{monitored, virtualService}, "*", "component-gateway"},
		"_2 DataDogAnnotation":                {api2(t, ""), env{"OPENMETRICS_IMPLEMENTATION": "DataDogAnnotation"}, []string{virtualService}, "*", "component-gateway"},
		"_2 PrometheusAnnotations":            {api2(t, ""), env{"OPENMETRICS_IMPLEMENTATION": "prometheusannotations"}, []string{virtualService}, "*", "component-gateway"},
		"_2 + basicAuth + hostname":           {api2(t, "hostname: api.example.com, basicAuth: {username: {name: a, key: b}}"), nil, []string{monitored, virtualService}, "*", "component-gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			objects, err := b.render(c.cr, served, nil)
			require.NoError(t, err)
			golden(t, name, objects)
			var kinds []string
			for _, o := range objects {
				kinds = append(kinds, o.GetKind())
				assert.Equal(t, c.cr.GetName(), o.GetName())
				assert.Equal(t, c.cr.GetNamespace(), o.GetNamespace())
				assert.Equal(t, c.cr.GetLabels(), o.GetLabels())
				assert.Empty(t, o.GetAnnotations())
			}
			assert.Equal(t, c.kinds, kinds)
			vs := objects[len(objects)-1]
			assert.Equal(t, "networking.istio.io/v1alpha3", vs.GetAPIVersion())
			spec := c.cr.Object["spec"].(map[string]any)
			assert.Equal(t, map[string]any{
				"hosts": []any{c.hosts}, "gateways": []any{c.gateway},
				"http": []any{map[string]any{
					"match": []any{map[string]any{"uri": map[string]any{"prefix": spec["path"]}}},
					"route": []any{map[string]any{"destination": map[string]any{
						"host": spec["implementation"], "port": map[string]any{"number": spec["port"]},
					}}},
				}},
			}, vs.Object["spec"])
			if kinds[0] != monitored {
				return
			}
			endpoint := map[string]any{"path": spec["path"], "interval": "15s", "scheme": "http", "targetPort": spec["port"]}
			if auth, found := spec["basicAuth"]; found {
				endpoint["basicAuth"] = auth
			}
			assert.Equal(t, "monitoring.coreos.com/v1", objects[0].GetAPIVersion())
			assert.Equal(t, map[string]any{
				"selector":  map[string]any{"matchLabels": map[string]any{"name": spec["implementation"]}},
				"endpoints": []any{endpoint},
			}, objects[0].Object["spec"])
		})
	}
}

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares what is rendered for a case of the table with its file in testdata/golden.
func golden(t *testing.T, name string, objects []*unstructured.Unstructured) {
	t.Helper()
	var documents []string
	for _, o := range objects {
		text, err := sigsyaml.Marshal(o.Object)
		require.NoError(t, err)
		documents = append(documents, string(text))
	}
	got := strings.Join(documents, "---\n")
	file := filepath.Join("testdata", "golden", strings.NewReplacer(" ", "-", "+", "and", "=", "-").Replace(strings.TrimPrefix(name, "_"))+".yaml")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, file)
}

// Resources that were published, in testdata as far as they are not in the folder of samples.
func TestPublishedResourcesRender(t *testing.T) {
	b := newBench(t)
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	more, err := filepath.Glob(filepath.Join(repository, "..", "shared", "samples", "exposedapi", "*.yaml"))
	require.NoError(t, err)
	for _, file := range append(files, more...) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			cr := resource(t, string(text))
			objects, err := b.render(cr, served, nil)
			require.NoError(t, err)
			api, err := oda.Read(cr)
			require.NoError(t, err)
			if api.External() {
				assert.Empty(t, objects)
				return
			}
			want := 1
			if oda.Metrics(api.Type) {
				want = 2
			}
			require.Len(t, objects, want)
			rules := objects[want-1].Object["spec"].(map[string]any)["http"].([]any)
			assert.Equal(t, []any{map[string]any{"uri": map[string]any{"prefix": api.Path}}}, rules[0].(map[string]any)["match"])
		})
	}
}

// Forms of resources that operators of other gateways document, written anew: whatever is in them beyond, their route is that
// of upstream.
func TestTheFormsOfOtherOperatorsRender(t *testing.T) {
	b := newBench(t)
	for name, spec := range map[string]string{
		"an early operator for Azure: neither name nor type, the specification itself, numbers and lists for policies": `{
  path: /stock, implementation: stock-service, port: 8080, specification: "{\"openapi\": \"3.0.0\"}", rateLimit: {limit: 500, period: 30},
  CORS: {allowOrigins: ["*"], allowMethods: [GET], allowHeaders: [Content-Type], exposeHeaders: ["*"], maxAge: 60, allowCredentials: true}}`,
		"an operator for Flex Gateway: an agent":         "{name: helper, apiType: a2a, implementation: h-1-agent, path: /h-1-helper/v1/agent, port: 8000}",
		"an operator for Flex Gateway: a limit":          "{name: h, apiType: openapi, implementation: h, path: /h/v1, port: 8081, specification: {url: 'https://example.com/a.yaml'}, rateLimit: {enabled: true, identifier: IP, limit: '50', interval: pm}}",
		"a name for people":                              "{name: My MCP Server, apiType: mcp, implementation: m, path: /m/mcp, port: 8080}",
		"a component description: id, version, required": "{id: TMF642, version: v4.0.0, name: alarm, apiType: openapi, required: true, implementation: alarm, path: /alarm/v4, port: 80, specification: [{url: 'https://example.com/a.json', version: v4.0.0}]}",
	} {
		for _, cors := range []string{"false", "true"} {
			t.Run(name+", CORS "+cors, func(t *testing.T) {
				t.Setenv("APIOPERATORISTIO_CORS", cors)
				cr := resource(t, "{apiVersion: oda.tmforum.org/v1beta3, kind: ExposedAPI, metadata: {name: a}, spec: "+spec+"}")
				objects, err := b.render(cr, served, nil)
				require.NoError(t, err)
				require.Len(t, objects, 1)
				api, err := oda.Read(cr)
				require.NoError(t, err)
				rules := objects[0].Object["spec"].(map[string]any)["http"].([]any)
				assert.Equal(t, []any{map[string]any{
					"match": []any{map[string]any{"uri": map[string]any{"prefix": api.Path}}},
					"route": []any{map[string]any{"destination": map[string]any{"host": api.Implementation, "port": map[string]any{"number": api.Port}}}},
				}}, rules)
			})
		}
	}
}

func TestTheVersionOfARouteIsTheOldestThatIsServed(t *testing.T) {
	b := newBench(t)
	for offered, want := range map[string]string{"v1alpha3 v1beta1 v1": "v1alpha3", "v1beta1 v1": "v1beta1", "v1": "v1", "": ""} {
		var set chartutil.VersionSet
		for _, v := range strings.Fields(offered) {
			set = append(set, "networking.istio.io/"+v+"/VirtualService")
		}
		objects, err := b.render(api1(t, ""), set, nil)
		require.NoError(t, err)
		if want == "" {
			assert.Empty(t, objects)
			continue
		}
		require.Len(t, objects, 1)
		assert.Equal(t, "networking.istio.io/"+want, objects[0].GetAPIVersion())
	}
}

// Issue #92 of upstream: without prometheus-operator metrics APIs had no route.
func TestWithoutTheKindServiceMonitorThereIsARouteAllTheSame(t *testing.T) {
	objects, err := newBench(t).render(api2(t, ""), served[:3], nil)
	require.NoError(t, err)
	require.Len(t, objects, 1)
	assert.Equal(t, "VirtualService", objects[0].GetKind())
}

func TestWhoLostItsPathIsMonitoredAndNotRouted(t *testing.T) {
	objects, err := newBench(t).render(api2(t, ""), served, map[string]any{"conflict": "of another one"})
	require.NoError(t, err)
	require.Len(t, objects, 1)
	assert.Equal(t, "ServiceMonitor", objects[0].GetKind())
}

// Section 3.5: upstream ignores them, whatever is in them.
func TestWhatTheChartIgnoresHindersNothing(t *testing.T) {
	objects, err := newBench(t).render(api1(t, `rateLimit: 5, quota: [x], OASValidation: "on", apiKeyVerification: {enabled: 1}, CORS: yes please,
  resources: x, required: "1", segment: 7, developerUI: {}, apiSDO: TMForum`), served, nil)
	require.NoError(t, err)
	assert.Len(t, objects, 1)
}

func TestWhatARouteNeedsIsAskedForByName(t *testing.T) {
	b := newBench(t)
	for field, want := range map[string]string{
		"implementation": "spec.implementation: the name of a Service is required", "path": "spec.path: a path is required",
		"port": "spec.port: the port of the Service is required",
	} {
		cr := api1(t, "")
		unstructured.RemoveNestedField(cr.Object, "spec", field)
		_, err := b.render(cr, served, nil)
		require.ErrorIs(t, err, render.ErrRefused)
		assert.ErrorContains(t, err, want)
	}
}

func TestCORS(t *testing.T) {
	b := newBench(t)
	t.Setenv("APIOPERATORISTIO_CORS", "true")
	policy := func(fields string) (any, error) {
		objects, err := b.render(api1(t, "CORS: {"+fields+"}"), served, nil)
		if err != nil {
			return nil, err
		}
		return objects[0].Object["spec"].(map[string]any)["http"].([]any)[0].(map[string]any)["corsPolicy"], nil
	}
	got, err := policy("enabled: true")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{ // the defaults that ExposedAPI documents
		"allowOrigins": []any{map[string]any{"regex": ".*"}}, "allowMethods": []any{"GET", "POST", "HEAD", "OPTIONS"}, "maxAge": "1800s",
		"allowHeaders":     []any{"Origin", "Accept", "X-Requested-With", "Content-Type", "Access-Control-Request-Method", "Access-Control-Request-Headers"},
		"allowCredentials": false,
	}, got)
	got, err = policy(`enabled: true, allowCredentials: true, allowOrigins: " https://a.com,https://b.com ",
  handlePreflightRequests: {enabled: true, allowHeaders: "X-A, X-B", allowMethods: "GET, PUT", maxAge: 3600}`)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"allowOrigins": []any{map[string]any{"exact": "https://a.com"}, map[string]any{"exact": "https://b.com"}},
		"allowMethods": []any{"GET", "PUT"}, "allowHeaders": []any{"X-A", "X-B"}, "maxAge": "3600s", "allowCredentials": true,
	}, got)
	got, err = policy(`enabled: true, allowOrigins: ["https://a.com", "https://b.com"], handlePreflightRequests: {allowHeaders: [X-A], allowMethods: [GET]}`)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{ // lists, as some write them
		"allowOrigins": []any{map[string]any{"exact": "https://a.com"}, map[string]any{"exact": "https://b.com"}},
		"allowMethods": []any{"GET"}, "allowHeaders": []any{"X-A"}, "maxAge": "1800s", "allowCredentials": false,
	}, got)
	got, err = policy("enabled: false, allowOrigins: x")
	require.NoError(t, err)
	assert.Nil(t, got)
	_, err = policy("enabled: true, allowCredentials: true")
	assert.ErrorContains(t, err, "spec.CORS.allowOrigins must name the origins")
	_, err = policy("enabled: true, handlePreflightRequests: {enabled: false}")
	assert.ErrorContains(t, err, "spec.CORS.handlePreflightRequests.enabled")
}

func TestPoliciesThatCantBeRenderedAreRefusedWhenToldTo(t *testing.T) {
	b := newBench(t)
	asks := map[string]string{
		"CORS": "CORS: {enabled: true}", "apiKeyVerification": "apiKeyVerification: {enabled: true, location: header}",
		"rateLimit": `rateLimit: {enabled: true, identifier: IP, limit: "100", interval: pm}`, "quota": `quota: {identifier: x, limit: "1000"}`,
		"OASValidation": "OASValidation: {responseEnabled: true}",
	}
	for field, text := range asks {
		objects, err := b.render(api1(t, text), served, nil)
		require.NoError(t, err, field)
		require.Len(t, objects, 1, "upstream ignores it")
	}
	t.Setenv("APIOPERATORISTIO_UNSUPPORTEDPOLICIES", "refuse")
	for field, text := range asks {
		_, err := b.render(api1(t, text), served, nil)
		require.ErrorIs(t, err, render.ErrRefused, field)
		assert.ErrorContains(t, err, "spec."+field+" (")
	}
	objects, err := b.render(api1(t, "CORS: {enabled: false}, rateLimit: {enabled: false}, quota: {}"), served, nil)
	require.NoError(t, err)
	assert.Len(t, objects, 1)
	t.Setenv("APIOPERATORISTIO_CORS", "true")
	_, err = b.render(api1(t, asks["CORS"]), served, nil)
	require.NoError(t, err)
}

// The mapper decides with Go code who gets a route, and the chart writes it: both must see it alike.
func TestTheChartRoutesWhatTheMapperDecidesAbout(t *testing.T) {
	b := newBench(t)
	for _, env := range []map[string]string{
		nil,
		{"APIOPERATORISTIO_SEGMENTSAFEPREFIX": "true", "APIOPERATORISTIO_INTERNALSEGMENTS": "managementFunction, securityFunction"},
		{"APIOPERATORISTIO_HOSTFROMSPEC": "true", "APIOPERATORISTIO_PUBLICHOSTNAME": "h", "APIOPERATORISTIO_COMPONENTGATEWAY": "c/g"},
	} {
		t.Run("", func(t *testing.T) {
			for k, v := range env {
				t.Setenv(k, v)
			}
			settings, err := exposedapi.ReadSettings(b.chart.Values(), b.overrides, nil)
			require.NoError(t, err)
			rapid.Check(t, func(rt *rapid.T) {
				cr := api1(t, "")
				for field, values := range map[string][]string{
					"path":           {"/", "//", "/a", "/a/", "/a/v4", "a", `/a"b\c`, "/ä'{{x}}: #"},
					"implementation": {"s", "<external>"}, "hostname": {"", "api.example.com"},
					"segment": {"", "coreFunction", "managementFunction", "securityFunction"},
				} {
					v := rapid.SampledFrom(values).Draw(rt, field)
					require.NoError(rt, unstructured.SetNestedField(cr.Object, v, "spec", field))
				}
				objects, err := b.render(cr, served, nil)
				require.NoError(rt, err)
				a, err := oda.Read(cr)
				require.NoError(rt, err)
				route, exposure := settings.Route(a)
				if exposure != oda.Routed {
					require.Empty(rt, objects)
					return
				}
				require.Len(rt, objects, 1)
				spec := objects[0].Object["spec"].(map[string]any)
				require.Equal(rt, []any{route.Hosts[0]}, spec["hosts"])
				require.Equal(rt, route.Gateway, oda.QualifiedGateway(spec["gateways"].([]any)[0].(string), cr.GetNamespace()))
				var matches []oda.Match
				for _, m := range spec["http"].([]any)[0].(map[string]any)["match"].([]any) {
					for kind, path := range m.(map[string]any)["uri"].(map[string]any) {
						matches = append(matches, oda.Match{Exact: kind == "exact", Path: path.(string)})
					}
				}
				require.Equal(rt, route.Matches, matches)
			})
		})
	}
}

func TestSettingsThatAreNotKnownStopTheProgram(t *testing.T) {
	b := newBench(t)
	for name, value := range map[string]string{
		"OPENMETRICS_IMPLEMENTATION": "Prometheus", "APIOPERATORISTIO_UNSUPPORTEDPOLICIES": "deny", "APIOPERATORISTIO_VIRTUALSERVICEVERSION": "v2",
		"APIOPERATORISTIO_INTERNALSEGMENTS": "other", "APIOPERATORISTIO_HOSTFROMSPEC": "perhaps",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := exposedapi.ReadSettings(b.chart.Values(), b.overrides, nil)
			require.ErrorIs(t, err, oda.ErrSettings)
		})
	}
}
