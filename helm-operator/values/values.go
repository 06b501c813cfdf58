// Package values turns a custom resource's spec into the values a chart is rendered with.
//
// Order of precedence, lowest first: the chart's own values.yaml (merged by Helm), the spec, the
// mapped values (what the templates need from the cluster), the overrides of watches.yaml.
package values

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Overrides are the overrideValues of a watch with environment and templates expanded, ready to
// be laid over any number of custom resources.
type Overrides struct {
	assignments []assignment
}

type assignment struct {
	path string
	expr string // path=JSON in the syntax of helm --set-json
}

// ParseOverrides expands the strings among the values: first environment variables ($NAME or
// ${NAME}), then Go templates with sprig functions, as both existing helm-operators do. An
// expanded or plain string takes the type that helm --set would give it (true, 3, null), and a
// string that starts with [ or { is read as YAML; values that are no strings keep their type.
func ParseOverrides(in map[string]any, lookupEnv func(string) string) (*Overrides, error) {
	if lookupEnv == nil {
		lookupEnv = os.Getenv
	}
	out := &Overrides{}
	for _, path := range slices.Sorted(maps.Keys(in)) {
		if strings.TrimSpace(path) == "" {
			return nil, errors.New("overrideValues: a path must not be empty")
		}
		value, err := expand(in[path], lookupEnv)
		if err != nil {
			return nil, fmt.Errorf("overrideValues %q: %w", path, err)
		}
		data, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("overrideValues %q: %w", path, err)
		}
		a := assignment{path: path, expr: path + "=" + string(data)}
		if err := strvals.ParseJSON(a.expr, map[string]any{}); err != nil {
			return nil, fmt.Errorf("overrideValues %q is no path of chart values: %w", path, err)
		}
		out.assignments = append(out.assignments, a)
	}
	return out, nil
}

func expand(v any, lookupEnv func(string) string) (any, error) {
	s, ok := v.(string)
	if !ok {
		return v, nil
	}
	tmpl, err := template.New("override").Funcs(sprig.TxtFuncMap()).Parse(os.Expand(s, lookupEnv))
	if err != nil {
		return nil, fmt.Errorf("parse template: %w", err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, nil); err != nil {
		return nil, fmt.Errorf("execute template: %w", err)
	}
	return typed(b.String())
}

// maxExact is the largest whole number that survives Helm's reading of values (as float64).
const maxExact = 1 << 53

// typed follows helm's --set for scalars (strvals.typedVal: numbers with leading zeros and
// decimals stay strings, so that versions survive).
func typed(s string) (any, error) {
	trimmed := strings.TrimSpace(s)
	switch {
	case strings.EqualFold(trimmed, "true"):
		return true, nil
	case strings.EqualFold(trimmed, "false"):
		return false, nil
	case strings.EqualFold(trimmed, "null"):
		return nil, nil
	case strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{"):
		var v any
		if err := yaml.Unmarshal([]byte(trimmed), &v); err != nil {
			return nil, fmt.Errorf("parse list or map: %w", err)
		}
		return v, nil
	}
	n, err := strconv.ParseInt(trimmed, 10, 64)
	if err == nil && (trimmed == "0" || trimmed[0] != '0') && n <= maxExact && n >= -maxExact {
		return n, nil
	}
	return s, nil
}

// Paths lists the overridden value paths in order.
func (o *Overrides) Paths() []string {
	paths := make([]string, 0, len(o.assignments))
	for _, a := range o.assignments {
		paths = append(paths, a.path)
	}
	return paths
}

// Merge lays mapped over spec and the overrides over both. The arguments are not changed. Numbers
// come out as Helm reads them from a values file, so that the operator renders exactly what
// `helm template -f` prints for the same values.
func (o *Overrides) Merge(spec, mapped map[string]any) (chartutil.Values, error) {
	merged := map[string]any{}
	if spec != nil {
		merged = runtime.DeepCopyJSON(spec)
	}
	if mapped != nil {
		overlay(merged, runtime.DeepCopyJSON(mapped))
	}
	for _, a := range o.assignments {
		if err := strvals.ParseJSON(a.expr, merged); err != nil {
			return nil, fmt.Errorf("overrideValues %q: %w", a.path, err)
		}
	}
	data, err := json.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("encode values: %w", err)
	}
	v := chartutil.Values{}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("decode values: %w", err)
	}
	return v, nil
}

// overlay writes src into dst, map by map. Helm's own table merge would do, but it logs the values
// that it meets on a conflict.
func overlay(dst, src map[string]any) {
	for k, v := range src {
		from, isMap := v.(map[string]any)
		into, ok := dst[k].(map[string]any)
		if isMap && ok {
			overlay(into, from)
			continue
		}
		dst[k] = v
	}
}
