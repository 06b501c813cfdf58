// SPDX-License-Identifier: Apache-2.0

// Package chart_test tests the chart datapowerservice: what it renders, that the API server takes it, and what its init
// script does to a container's file system.
package chart_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Places in the repository, seen from this package.
const (
	chartFolder   = "../../helm-charts/datapowerservice"
	crdFolder     = "../../config/crd/bases"
	samplesFolder = "../../../shared/samples/datapower"
)

// update rewrites the golden files instead of comparing with them.
var update = flag.Bool("update", false, "rewrite the golden files")

// The release that tests render unless they say otherwise.
const (
	releaseName      = "gw"
	releaseNamespace = "gateways"
)

// minimal is the smallest spec that renders.
const minimal = `
license: {accept: true, license: L-EYGU-PVGRBC, use: nonproduction}
version: 10.6.0.1
users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}]
`

// loadChart loads the chart afresh: Helm changes a loaded chart while it renders it.
func loadChart(t testing.TB) *chart.Chart {
	t.Helper()
	loaded, err := loader.LoadDir(chartFolder)
	require.NoError(t, err)
	return loaded
}

// values parses YAML texts and puts the later over the earlier, key by key at the root.
func values(t testing.TB, texts ...string) map[string]any {
	t.Helper()
	merged := map[string]any{}
	for _, text := range texts {
		var parsed map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &parsed))
		for key, value := range parsed {
			merged[key] = value
		}
	}
	return merged
}

// release names what is rendered.
type release struct{ name, namespace string }

// renderFiles renders the chart and returns the text of each template, by its path in the chart.
func renderFiles(loaded *chart.Chart, r release, vals map[string]any) (map[string]string, error) {
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = chartutil.KubeVersion{Version: "v1.36.3", Major: "1", Minor: "36"}
	options := chartutil.ReleaseOptions{Name: r.name, Namespace: r.namespace, Revision: 1, IsInstall: true}
	top, err := chartutil.ToRenderValues(loaded, vals, options, capabilities)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	return engine.Render(loaded, top)
}

// manifest is a rendered chart.
type manifest struct {
	t       testing.TB
	objects []*unstructured.Unstructured
	notes   string
}

// render renders the chart with the given values, or fails the test.
func render(t testing.TB, vals map[string]any) *manifest {
	t.Helper()
	return renderAs(t, release{releaseName, releaseNamespace}, vals)
}

func renderAs(t testing.TB, r release, vals map[string]any) *manifest {
	t.Helper()
	files, err := renderFiles(loadChart(t), r, vals)
	require.NoError(t, err)
	return parseManifest(t, files)
}

// renderError renders with values that the chart must refuse and returns the message.
func renderError(t testing.TB, vals map[string]any) string {
	t.Helper()
	_, err := renderFiles(loadChart(t), release{releaseName, releaseNamespace}, vals)
	require.Error(t, err)
	return err.Error()
}

func parseManifest(t testing.TB, files map[string]string) *manifest {
	t.Helper()
	m := &manifest{t: t}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		text := files[name]
		switch {
		case filepath.Base(name) == "NOTES.txt":
			m.notes = text
			continue
		case strings.HasPrefix(filepath.Base(name), "_") || strings.TrimSpace(text) == "":
			continue
		}
		object := &unstructured.Unstructured{}
		json, err := yaml.YAMLToJSONStrict([]byte(text))
		require.NoError(t, err, "%s:\n%s", name, text)
		require.NoError(t, object.UnmarshalJSON(json), name)
		m.objects = append(m.objects, object)
	}
	return m
}

// find is the object of a kind, nil when there is none. A kind of which there are several is written Kind/name.
func (m *manifest) find(kind string) *unstructured.Unstructured {
	m.t.Helper()
	kind, name, named := strings.Cut(kind, "/")
	var found []*unstructured.Unstructured
	for _, object := range m.objects {
		if object.GetKind() == kind && (!named || object.GetName() == name) {
			found = append(found, object)
		}
	}
	require.LessOrEqual(m.t, len(found), 1, "several objects of kind %s: say which", kind)
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// at is the value at a place of the form "Kind|key|key": nil when there is none. A key of the form "name=x" picks the
// entry of a list with that name, a number picks by position.
func (m *manifest) at(place string) any {
	m.t.Helper()
	kind, rest, _ := strings.Cut(place, "|")
	object := m.find(kind)
	if object == nil {
		return nil
	}
	var current any = object.Object
	for _, key := range strings.Split(rest, "|") {
		if key != "" {
			current = step(current, key)
		}
	}
	return current
}

// step goes one key down, nil when there is nothing.
func step(from any, key string) any {
	switch container := from.(type) {
	case map[string]any:
		return container[key]
	case []any:
		if field, want, found := strings.Cut(key, "="); found {
			for _, entry := range container {
				if fields, isMap := entry.(map[string]any); isMap && fields[field] == want {
					return entry
				}
			}
			return nil
		}
		if i, err := strconv.Atoi(key); err == nil && i < len(container) {
			return container[i]
		}
	}
	return nil
}

// Prefixes of places in the StatefulSet.
const (
	pod     = "StatefulSet|spec|template|spec|"
	gateway = pod + "containers|name=datapower|"
	plan    = "ConfigMap/" + releaseName + "-init|data|"
)

// decode turns a rendered object into its Go type.
func decode[T any](t testing.TB, object *unstructured.Unstructured) T {
	t.Helper()
	require.NotNil(t, object)
	var typed T
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &typed, true))
	return typed
}

// golden compares text with a golden file, or writes it.
func golden(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update to make it")
	difference, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(string(want)), B: difflib.SplitLines(text), FromFile: path, ToFile: "now", Context: 3,
	})
	require.NoError(t, err)
	require.Empty(t, difference, "run the test with -update and read the difference")
}
