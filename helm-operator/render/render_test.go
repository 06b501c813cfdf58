package render_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmaction "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"

	"github.com/datapower-operator/datapower-operator/helm-operator/render"
)

var cluster = chartutil.KubeVersion{Version: "v1.31.2", Major: "1", Minor: "31"}

func capabilities() *chartutil.Capabilities {
	c := chartutil.DefaultCapabilities.Copy()
	c.KubeVersion = cluster
	c.APIVersions = append(c.APIVersions, "policy/v1/PodDisruptionBudget")
	return c
}

func load(t *testing.T, path string) *chart.Chart {
	t.Helper()
	c, err := loader.Load(path)
	require.NoError(t, err)
	return c
}

// inMemory is a chart of the given templates.
func inMemory(templates map[string]string) *chart.Chart {
	c := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: "demo", Version: "1.0.0"}}
	for name, text := range templates {
		c.Templates = append(c.Templates, &chart.File{Name: "templates/" + name, Data: []byte(text)})
	}
	return c
}

func request(c *chart.Chart, values map[string]any) render.Request {
	if values == nil {
		values = map[string]any{}
	}
	return render.Request{
		Chart: c, Values: values, Capabilities: capabilities(),
		Release: chartutil.ReleaseOptions{Name: "gw", Namespace: "prod", Revision: 1, IsInstall: true},
	}
}

// helm renders as `helm template` does.
func helm(t *testing.T, c *chart.Chart, values map[string]any, upgrade bool) (*release.Release, error) {
	t.Helper()
	install := helmaction.NewInstall(&helmaction.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly, install.DryRun = true, true
	install.ReleaseName, install.Namespace = "gw", "prod"
	install.KubeVersion, install.APIVersions = &cluster, []string{"policy/v1/PodDisruptionBudget"}
	install.IsUpgrade = upgrade
	return install.Run(c, values)
}

func TestRenderingEqualsHelmsOwn(t *testing.T) {
	tests := map[string]struct {
		values  map[string]any
		upgrade bool
	}{
		"the defaults":               {values: map[string]any{}},
		"an upgrade":                 {values: map[string]any{}, upgrade: true},
		"values of the user":         {values: map[string]any{"greeting": "a: b # c", "replicas": 7}},
		"a subchart turned off":      {values: map[string]any{"store": map[string]any{"enabled": false}}},
		"a subchart under two names": {values: map[string]any{"second": map[string]any{"enabled": true}}},
		"a tag":                      {values: map[string]any{"tags": map[string]any{"extras": true}}},
		"a global value":             {values: map[string]any{"global": map[string]any{"region": "south"}}},
		"a template that renders nothing and then something": {values: map[string]any{"namespace": "made"}},
		"a default that is removed":                          {values: map[string]any{"greeting": nil}},
		"a value of a subchart":                              {values: map[string]any{"store": map[string]any{"exports": map[string]any{"exported": map[string]any{"size": "1Ti"}}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := helm(t, load(t, "testdata/oracle"), copyOf(test.values), test.upgrade)
			require.NoError(t, err)
			req := request(load(t, "testdata/oracle"), copyOf(test.values))
			req.Release.IsInstall, req.Release.IsUpgrade = !test.upgrade, test.upgrade
			got, err := render.Render(req)
			require.NoError(t, err)
			assert.Equal(t, want.Manifest, got.Manifest)
			assert.Equal(t, want.Hooks, got.Hooks)
		})
	}
}

func copyOf(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		if nested, ok := v.(map[string]any); ok {
			v = copyOf(nested)
		}
		out[k] = v
	}
	return out
}

// What the comparison with Helm relies on: the chart exercises what it is there for.
func TestTheOracleChartRendersWhatItIsThereFor(t *testing.T) {
	got, err := render.Render(request(load(t, "testdata/oracle"), nil))
	require.NoError(t, err)
	var kinds []string
	for line := range strings.Lines(got.Manifest) {
		if kind, ok := strings.CutPrefix(line, "kind: "); ok {
			kinds = append(kinds, strings.TrimSpace(kind))
		}
	}
	assert.Equal(t, []string{"Secret", "ConfigMap", "PersistentVolumeClaim", "Service", "Deployment", "Unheard"}, kinds, "in install order")
	assert.NotContains(t, got.Manifest, "Thank you")
	assert.NotContains(t, got.Manifest, "Store of")
	assert.NotContains(t, got.Manifest, "CustomResourceDefinition", "crds/ is no part of a manifest")
	assert.Contains(t, got.Manifest, `imported: "10Gi"`)
	assert.Contains(t, got.Manifest, `found: "{}"`, "lookup finds nothing without a cluster")
	assert.Contains(t, got.Manifest, `inline: "HELLO"`)
	var hooks []string
	for _, h := range got.Hooks {
		hooks = append(hooks, h.Name)
	}
	assert.ElementsMatch(t, []string{"before", "for-jobs", "after"}, hooks)
}

func TestRenderingTheSameTwiceGivesTheSame(t *testing.T) {
	first, err := render.Render(request(load(t, "testdata/oracle"), nil))
	require.NoError(t, err)
	second, err := render.Render(request(load(t, "testdata/oracle"), nil))
	require.NoError(t, err)
	assert.Equal(t, first, second)
}

func TestAChartForAnotherKubernetesIsRefused(t *testing.T) {
	tests := map[string]struct {
		requires string
		refused  bool
	}{
		"nothing required":     {"", false},
		"an older one":         {">=1.25.0", false},
		"the same one":         {"1.31.x", false},
		"a newer one":          {">=1.99.0", true},
		"only an older one":    {"<1.20.0", true},
		"something unreadable": {"newest", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := inMemory(map[string]string{"a.yaml": "kind: A"})
			c.Metadata.KubeVersion = test.requires
			_, err := render.Render(request(c, nil))
			if !test.refused {
				assert.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, render.ErrKubeVersion)
			assert.ErrorContains(t, err, test.requires)
			assert.ErrorContains(t, err, "v1.31.2")
			_, helmErr := helm(t, c, map[string]any{}, false)
			assert.Error(t, helmErr, "Helm refuses it too")
		})
	}
}

func TestFaultsAreReportedWithTheirPlace(t *testing.T) {
	tests := map[string]struct {
		templates map[string]string
		want      []string
	}{
		"a template that does not parse": {map[string]string{"bad.yaml": "{{ if }}"}, []string{"demo/templates/bad.yaml"}},
		"an unknown function":            {map[string]string{"bad.yaml": "{{ nosuch }}"}, []string{"demo/templates/bad.yaml", "nosuch"}},
		"a missing helper":               {map[string]string{"bad.yaml": `{{ include "nosuch" . }}`}, []string{"demo/templates/bad.yaml", "nosuch"}},
		"output that is no YAML":         {map[string]string{"bad.yaml": "kind: [\n"}, []string{"demo/templates/bad.yaml"}},
		"a field of something that is no map": {
			map[string]string{"bad.yaml": "x: {{ .Values.a.b }}"}, []string{"demo/templates/bad.yaml"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := render.Render(request(inMemory(test.templates), map[string]any{"a": "scalar"}))
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
			assert.NotErrorIs(t, err, render.ErrRefused, "the chart is broken, it does not refuse")
		})
	}
}

func TestValuesThatTheChartsSchemaForbidsAreNamed(t *testing.T) {
	_, err := render.Render(request(load(t, "testdata/oracle"), map[string]any{"replicas": "many"}))
	assert.ErrorContains(t, err, "replicas")
}

func TestRefusalsEndInTheAuthorsWords(t *testing.T) {
	for name, template := range refusals {
		t.Run(name, func(t *testing.T) {
			_, err := render.Render(request(inMemory(template), nil))
			require.Error(t, err)
			assert.True(t, strings.HasSuffix(err.Error(), "spec.version: unknown channel; known are 10.5 and 10.6"), err.Error())
			assert.NotContains(t, err.Error(), "HELM_ERR")
		})
	}
}

// refusals are charts whose author refuses the values with the same words.
var refusals = map[string]map[string]string{
	"fail": {"a.yaml": `{{ fail "spec.version: unknown channel; known are 10.5 and 10.6" }}`},
	"required": {
		"a.yaml": `x: {{ required "spec.version: unknown channel; known are 10.5 and 10.6" .Values.version }}`,
	},
	"fail within a helper": {
		"_a.tpl": `{{ define "inner" }}{{ fail "spec.version: unknown channel; known are 10.5 and 10.6" }}{{ end }}`,
		"b.yaml": `{{ define "outer" }}{{ include "inner" . }}{{ end }}x: {{ include "outer" . | quote }}`,
	},
}

func TestARenderIsTheSameOnlyWithTheSameHooks(t *testing.T) {
	hook := func(text string) *release.Hook { return &release.Hook{Path: "demo/templates/h.yaml", Manifest: text} }
	got := render.Result{Manifest: "m", Hooks: []*release.Hook{hook("one"), hook("two")}}
	for name, c := range map[string]struct {
		stored release.Release
		same   bool
	}{
		"all is equal":              {release.Release{Manifest: "m", Hooks: []*release.Hook{hook("one"), hook("two")}}, true},
		"the order of hooks is not": {release.Release{Manifest: "m", Hooks: []*release.Hook{hook("two"), hook("one")}}, true},
		"another manifest":          {release.Release{Manifest: "n", Hooks: []*release.Hook{hook("one"), hook("two")}}, false},
		"a changed hook":            {release.Release{Manifest: "m", Hooks: []*release.Hook{hook("one"), hook("old")}}, false},
		"a hook less":               {release.Release{Manifest: "m", Hooks: []*release.Hook{hook("one")}}, false},
		"a hook more":               {release.Release{Manifest: "m", Hooks: []*release.Hook{hook("one"), hook("two"), hook("three")}}, false},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.same, got.Same(&c.stored)) })
	}
}

func TestAChartThatRendersNothingHasAnEmptyManifest(t *testing.T) {
	got, err := render.Render(request(inMemory(map[string]string{"a.yaml": "\n  \n", "_b.tpl": "kind: B"}), nil))
	require.NoError(t, err)
	assert.Empty(t, got.Manifest)
	assert.Empty(t, got.Hooks)
}

func TestReleaseFieldsReachTheTemplates(t *testing.T) {
	req := request(inMemory(map[string]string{
		"a.yaml": "x: {{ .Release.Name }}/{{ .Release.Namespace }}/{{ .Release.Revision }}/{{ .Release.IsInstall }}/{{ .Release.IsUpgrade }}",
	}), nil)
	req.Release = chartutil.ReleaseOptions{Name: "n", Namespace: "ns", Revision: 7, IsUpgrade: true}
	got, err := render.Render(req)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("---\n# Source: demo/templates/a.yaml\nx: %s\n", "n/ns/7/false/true"), got.Manifest)
}
