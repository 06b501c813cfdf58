package observability

import (
	"path/filepath"
	"testing"

	"github.com/datapower-operator/datapower-operator/test/observability/shipped"
)

// root is the repository's root.
const root = "../.."

type (
	rule     = shipped.Rule
	group    = shipped.Group
	ruleFile = shipped.File
)

var kinds = shipped.Kinds

func rulesOf(t *testing.T, kind string) ruleFile {
	t.Helper()
	return shipped.Rules(t, root, kind)
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
	return rulesOf(t, kind).Alerts()
}

func dashboards(t *testing.T) map[string]shipped.Dashboard {
	t.Helper()
	return shipped.Dashboards(t, root)
}

// read reads a YAML file of the repository.
func read(t *testing.T, path string, into any) {
	t.Helper()
	shipped.Read(t, filepath.Join(root, path), into)
}
