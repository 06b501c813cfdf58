// Package chart loads a Helm chart once and hands out private copies of it.
//
// Helm edits a *chart.Chart in place while it renders (dependency conditions remove
// subcharts), so a chart shared by several reconciles breaks the second one. A Source copies for
// each caller what Helm edits.
package chart

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// Source is a chart as it was on disk when the program started. It is immutable and safe for
// concurrent use.
type Source struct {
	chart  *chart.Chart
	digest string
	plain  bool
	schema *jsonschema.Schema
}

// Load reads the chart in the directory or archive at path.
func Load(path string) (*Source, error) {
	c, err := loader.Load(path)
	if err != nil {
		return nil, fmt.Errorf("load chart %s: %w", path, err)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("load chart %s: %w", path, err)
	}
	return &Source{chart: c, digest: digest(c.Raw), plain: isPlain(c), schema: compile(c)}, nil
}

// Name is the chart's name as its Chart.yaml gives it.
func (s *Source) Name() string { return s.chart.Name() }

// Digest identifies the chart's content: hexadecimal SHA-256 over names and data of all files.
func (s *Source) Digest() string { return s.digest }

// Values are the chart's defaults. They are shared and must not be changed.
func (s *Source) Values() map[string]any { return s.chart.Values }

// Copy returns a chart that the caller may change, but for the contents of its files.
func (s *Source) Copy() *chart.Chart { return copyOf(s.chart) }

// Plain tells that what the chart renders depends on nothing but values, capabilities, and the name and namespace of the
// release: neither on the revision nor on what is in the cluster. Charts with subcharts are not called plain.
func (s *Source) Plain() bool { return s.plain }

// Valid tells whether values, merged with the chart's defaults, meet the chart's schema. False may also mean that this
// can't be told; Helm's own validation tells then, and what is wrong.
func (s *Source) Valid(values chartutil.Values) bool {
	if len(s.chart.Dependencies()) > 0 {
		return false
	}
	if s.chart.Schema == nil {
		return true
	}
	return s.schema != nil && s.schema.Validate(values.AsMap()) == nil
}

// compile reads the chart's schema once, as Helm does for every render; nil when it has none or it can't be read.
func compile(c *chart.Chart) *jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema))
	if err != nil {
		return nil
	}
	const url = "file:///values.schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(jsonschema.SchemeURLLoader{}) // what refers to other documents is left to Helm
	if err := compiler.AddResource(url, document); err != nil {
		return nil
	}
	schema, err := compiler.Compile(url)
	if err != nil {
		return nil
	}
	return schema
}

// Templates that depend on more than a plain chart's: functions that read the cluster or evaluate text of the user's,
// and any use of the release but of its name, namespace and service.
var (
	notPlain     = regexp.MustCompile(`\b(lookup|tpl|getHostByName)\b`)
	release      = regexp.MustCompile(`\bRelease\b`)
	plainRelease = regexp.MustCompile(`\.Release\.(Name|Namespace|Service)\b`)
)

func isPlain(c *chart.Chart) bool {
	if len(c.Dependencies()) > 0 || len(c.Metadata.Dependencies) > 0 || len(c.CRDObjects()) > 0 {
		return false
	}
	return !slices.ContainsFunc(c.Templates, func(f *chart.File) bool {
		return notPlain.Match(f.Data) || len(release.FindAllIndex(f.Data, -1)) != len(plainRelease.FindAllIndex(f.Data, -1))
	})
}

// copyOf copies what Helm changes of a chart while it renders: metadata, values, and which subcharts there are.
func copyOf(c *chart.Chart) *chart.Chart {
	out := &chart.Chart{
		Raw: slices.Clone(c.Raw), Lock: c.Lock, Templates: slices.Clone(c.Templates), Files: slices.Clone(c.Files),
		Schema: c.Schema, Metadata: copyMetadata(c.Metadata), Values: copyValues(c.Values),
	}
	for _, sub := range c.Dependencies() {
		out.AddDependency(copyOf(sub))
	}
	return out
}

func copyMetadata(m *chart.Metadata) *chart.Metadata {
	if m == nil {
		return nil
	}
	out := *m
	out.Dependencies = nil
	for _, d := range m.Dependencies {
		if d != nil {
			sub := *d
			sub.ImportValues = slices.Clone(d.ImportValues)
			d = &sub
		}
		out.Dependencies = append(out.Dependencies, d)
	}
	return &out
}

// copyValues copies maps and lists; what else YAML has is immutable.
func copyValues(values map[string]any) map[string]any {
	if values == nil {
		return nil
	}
	out := make(map[string]any, len(values))
	for k, v := range values {
		out[k] = copyValue(v)
	}
	return out
}

func copyValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return copyValues(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copyValue(v[i])
		}
		return out
	}
	return v
}

func digest(raw []*chart.File) string {
	files := slices.Clone(raw)
	slices.SortFunc(files, func(a, b *chart.File) int { return cmp.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d:%s%d:", len(f.Name), f.Name, len(f.Data))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}
