// Package render turns a chart and values into a manifest without touching the cluster, exactly as
// Helm's install and upgrade actions would.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/postrender"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"k8s.io/client-go/rest"
)

// ErrKubeVersion says that the chart does not support the cluster's Kubernetes version.
var ErrKubeVersion = errors.New("chart does not support this Kubernetes version")

// Request is everything a render depends on.
type Request struct {
	// Chart is a private copy: rendering edits it.
	Chart *chart.Chart
	// Values are the user's values; the chart's defaults are merged below them.
	Values chartutil.Values
	// Release gives .Release to templates.
	Release chartutil.ReleaseOptions
	// Capabilities give .Capabilities to templates.
	Capabilities *chartutil.Capabilities
	// Lookup is the cluster that template function lookup reads; nil makes it find nothing.
	Lookup *rest.Config
	// Valid tells whether merged values meet the chart's schema, faster than Helm can; Helm is asked what is wrong when
	// they don't. Nil leaves it all to Helm.
	Valid func(chartutil.Values) bool
}

// Result is a rendered chart.
type Result struct {
	// Manifest is a YAML stream in install order.
	Manifest string
	// Hooks are the chart's hooks, in the order of Helm's release record.
	Hooks []*release.Hook
	// Notes are what the chart itself tells its users.
	Notes string
}

// Same tells whether a stored release was rendered to the same manifest and the same hooks.
func (r Result) Same(rel *release.Release) bool {
	text := func(h *release.Hook) string { return h.Path + "\n" + h.Manifest }
	stored := map[string]bool{}
	for _, h := range rel.Hooks {
		stored[text(h)] = true
	}
	return r.Manifest == rel.Manifest && len(r.Hooks) == len(rel.Hooks) &&
		!slices.ContainsFunc(r.Hooks, func(h *release.Hook) bool { return !stored[text(h)] })
}

// Render renders the request. Errors are of the chart and its values: repeating it gives the same.
func Render(req Request) (Result, error) {
	if v := req.Chart.Metadata.KubeVersion; v != "" && !chartutil.IsCompatibleRange(v, req.Capabilities.KubeVersion.String()) {
		return Result{}, fmt.Errorf("%w: chart requires %s, the cluster is %s", ErrKubeVersion, v, req.Capabilities.KubeVersion.String())
	}
	if err := chartutil.ProcessDependenciesWithMerge(req.Chart, req.Values); err != nil {
		return Result{}, fmt.Errorf("process chart dependencies: %w", err)
	}
	top, err := renderValues(req)
	if err != nil {
		return Result{}, fmt.Errorf("compute values: %w", err)
	}
	files, err := engineFor(req).Render(req.Chart, top)
	if err != nil {
		return Result{}, templateError(err)
	}
	notes := files[notesOf(req.Chart)]
	for name := range files {
		if strings.HasSuffix(name, notesFile) { // as Helm does

			delete(files, name)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return Result{}, fmt.Errorf("sort manifests: %w", err)
	}
	out := &bytes.Buffer{}
	for _, m := range manifests {
		fmt.Fprintf(out, "---\n# Source: %s\n%s\n", m.Name, m.Content)
	}
	return Result{Manifest: out.String(), Hooks: hooks, Notes: notes}, nil
}

// renderValues are what templates see.
func renderValues(req Request) (chartutil.Values, error) {
	if req.Valid == nil {
		return chartutil.ToRenderValues(req.Chart, req.Values, req.Release, req.Capabilities)
	}
	top, err := chartutil.ToRenderValuesWithSchemaValidation(req.Chart, req.Values, req.Release, req.Capabilities, true)
	if err != nil {
		return nil, err
	}
	if merged, ok := top["Values"].(chartutil.Values); ok && req.Valid(merged) {
		return top, nil
	}
	return chartutil.ToRenderValues(req.Chart, req.Values, req.Release, req.Capabilities)
}

const notesFile = "NOTES.txt"

func notesOf(c *chart.Chart) string { return path.Join(c.Name(), "templates", notesFile) }

// Rendered returns a stand-in for a chart whose notes are the result's; of c it has the metadata and the values. With
// PostRenderer, Helm makes of it the release that it would make of c, without rendering anything again. It is for charts
// without hooks and subcharts.
func (r Result) Rendered(c *chart.Chart) *chart.Chart {
	out := &chart.Chart{Metadata: c.Metadata, Lock: c.Lock, Values: c.Values}
	if r.Notes != "" {
		literal := strings.ReplaceAll(r.Notes, "{{", `{{ "{{" }}`)
		out.Templates = []*chart.File{{Name: "templates/" + notesFile, Data: []byte(literal)}}
	}
	return out
}

// Run implements postrender.PostRenderer: whatever was rendered, the manifest is the result's.
func (r Result) Run(*bytes.Buffer) (*bytes.Buffer, error) {
	return bytes.NewBufferString(r.Manifest), nil
}

var _ postrender.PostRenderer = Result{}

func engineFor(req Request) engine.Engine {
	if req.Lookup != nil {
		return engine.New(req.Lookup)
	}
	return engine.Engine{}
}

// executionError is how Helm's engine reports the template functions fail and required.
var executionError = regexp.MustCompile(`(?s)^execution error at \([^)]*\): (.*)$`)

// templateError keeps of a template's refusal what its author wrote.
func templateError(err error) error {
	if m := executionError.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%w: %s", ErrRefused, m[1])
	}
	return fmt.Errorf("render templates: %w", err)
}

// ErrRefused says that the chart itself refused the values (template function fail or required).
var ErrRefused = errors.New("chart refuses the values")
