package observability

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// root is the repository's root.
const root = "../.."

// rule is an alert or a recording rule.
type rule struct {
	Alert       string            `json:"alert,omitempty"`
	Record      string            `json:"record,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type group struct {
	Name     string `json:"name"`
	Interval string `json:"interval,omitempty"`
	Rules    []rule `json:"rules"`
}

type ruleFile struct {
	Groups []group `json:"groups"`
}

// kinds of rules: the suffix of their file in config/prometheus.
var kinds = []string{"operator", "domain"}

// rulesOf reads the rules of a PrometheusRule.
func rulesOf(t *testing.T, kind string) ruleFile {
	t.Helper()
	var resource struct {
		Spec ruleFile `json:"spec"`
	}
	read(t, "config/prometheus/rules-"+kind+".yaml", &resource)
	require.NotEmpty(t, resource.Spec.Groups)
	return resource.Spec
}

// alerts are all alerts.
func alerts(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, kind := range kinds {
		all = append(all, alertsOf(t, kind)...)
	}
	return all
}

func alertsOf(t *testing.T, kind string) []rule {
	t.Helper()
	var all []rule
	for _, g := range rulesOf(t, kind).Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				all = append(all, r)
			}
		}
	}
	return all
}

type target struct {
	Expr       string `json:"expr"`
	Datasource source `json:"datasource"`
}

type source struct {
	UID string `json:"uid"`
}

type panel struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Description string   `json:"description"`
	Datasource  source   `json:"datasource"`
	Targets     []target `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	GridPos struct{ X, Y, W, H int } `json:"gridPos"`
}

type dashboard struct {
	UID        string  `json:"uid"`
	Title      string  `json:"title"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
}

// dashboards are those of config/grafana by file name.
func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "config/grafana/dashboards/*.json"))
	require.NoError(t, err)
	all := map[string]dashboard{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(data, &d), file)
		all[filepath.Base(file)] = d
	}
	require.Len(t, all, 3)
	return all
}

// read reads a YAML file of the repository.
func read(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(data, into), path)
}
