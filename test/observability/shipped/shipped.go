// Package shipped reads what is shipped for Prometheus and Grafana, for tests: the rules of config/prometheus and the dashboards of
// config/grafana, and which metrics they name.
package shipped

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// Rule is an alert or a recording rule.
type Rule struct {
	Alert       string            `json:"alert,omitempty"`
	Record      string            `json:"record,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Group is a group of rules.
type Group struct {
	Name     string `json:"name"`
	Interval string `json:"interval,omitempty"`
	Rules    []Rule `json:"rules"`
}

// File is what a file with rules for Prometheus has, and the spec of a PrometheusRule.
type File struct {
	Groups []Group `json:"groups"`
}

// Kinds of rules: the suffix of their file in config/prometheus.
var Kinds = []string{"operator", "domain"}

// Rules reads the rules of a PrometheusRule. root is the repository's root, seen from the test's folder.
func Rules(t testing.TB, root, kind string) File {
	t.Helper()
	var resource struct {
		Spec File `json:"spec"`
	}
	Read(t, filepath.Join(root, "config/prometheus/rules-"+kind+".yaml"), &resource)
	require.NotEmpty(t, resource.Spec.Groups)
	return resource.Spec
}

// Alerts are the alerts of the rules.
func (f File) Alerts() []Rule {
	var all []Rule
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				all = append(all, r)
			}
		}
	}
	return all
}

// Target is one query of a panel.
type Target struct {
	Expr       string `json:"expr"`
	Datasource Source `json:"datasource"`
}

// Source is a data source.
type Source struct {
	UID string `json:"uid"`
}

// Panel is one panel of a dashboard.
type Panel struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Description string   `json:"description"`
	Datasource  Source   `json:"datasource"`
	Targets     []Target `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	GridPos struct{ X, Y, W, H int } `json:"gridPos"`
}

// Dashboard is a dashboard of Grafana.
type Dashboard struct {
	UID        string  `json:"uid"`
	Title      string  `json:"title"`
	Panels     []Panel `json:"panels"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
}

// Dashboards are those of config/grafana by file name.
func Dashboards(t testing.TB, root string) map[string]Dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "config/grafana/dashboards/*.json"))
	require.NoError(t, err)
	all := map[string]Dashboard{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var d Dashboard
		require.NoError(t, json.Unmarshal(data, &d), file)
		all[filepath.Base(file)] = d
	}
	require.Len(t, all, 3)
	return all
}

// Read reads a YAML file.
func Read(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, into), path)
}

var (
	quoted   = regexp.MustCompile(`"[^"]*"`)
	braces   = regexp.MustCompile(`\{[^}]*\}`)
	ranges   = regexp.MustCompile(`\[[^\]]*\]`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	word     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\s*\(?`)
	number   = regexp.MustCompile(`\b[0-9][0-9a-z.]*\b`)
)

var keywords = []string{"and", "or", "unless", "bool", "offset", "group_left", "group_right", "by", "on"}

// MetricsOf are the metrics that an expression names.
func MetricsOf(expr string) []string {
	for _, cut := range []*regexp.Regexp{quoted, braces, ranges, grouping, number} {
		expr = cut.ReplaceAllString(expr, " ")
	}
	var names []string
	for _, w := range word.FindAllString(expr, -1) {
		if name := strings.TrimSpace(w); !strings.HasSuffix(w, "(") && !slices.Contains(keywords, name) {
			names = append(names, name)
		}
	}
	return names
}
