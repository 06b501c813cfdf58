package observability

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// variables of dashboards as an expression could have them.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$__range", "3h", "$namespace", "a|b", "$operator_namespace", "a")

func TestEachPanelIsExplainedAndItsExpressionsParse(t *testing.T) {
	var rules []rule
	for name, d := range dashboards(t) {
		for _, p := range d.Panels {
			if p.Type == "row" {
				continue
			}
			at := name + ": " + p.Title
			assert.NotEmpty(t, p.Title, at)
			assert.NotEmpty(t, p.Description, at)
			assert.NotEmpty(t, p.FieldConfig.Defaults.Unit, at)
			assert.Equal(t, "${datasource}", p.Datasource.UID, at)
			require.NotEmpty(t, p.Targets, at)
			for _, target := range p.Targets {
				assert.Equal(t, "${datasource}", target.Datasource.UID, at)
				expr := variables.Replace(target.Expr)
				assert.NotContains(t, expr, "$", "%s: a variable that is not known", at)
				rules = append(rules, rule{Record: fmt.Sprintf("panel:%d", len(rules)), Expr: expr})
			}
		}
	}
	out, err := promtool(t, write(t, ruleFile{Groups: []group{{Name: "panels", Rules: rules}}}), "check", "rules", "rules.yaml")
	assert.NoError(t, err, out)
}

func TestDashboardsHaveVariablesAndNoOverlap(t *testing.T) {
	uids := map[string]bool{}
	for name, d := range dashboards(t) {
		assert.False(t, uids[d.UID], "%s: its uid is there twice", name)
		uids[d.UID] = true
		assert.Equal(t, name, d.UID+".json")
		types := map[string]string{}
		for _, v := range d.Templating.List {
			types[v.Name] = v.Type
		}
		assert.Equal(t, "datasource", types["datasource"], name)
		assert.Equal(t, "query", types["namespace"], name)
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, "%s: %s", name, p.Title)
			for x := range p.GridPos.W {
				for y := range p.GridPos.H {
					cell := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
					require.Empty(t, taken[cell], "%s: %s lies over another", name, p.Title)
					taken[cell] = p.Title
				}
			}
		}
	}
}

func TestEachDashboardIsInALabelledConfigMap(t *testing.T) {
	var k struct {
		Options struct {
			Labels map[string]string `json:"labels"`
		} `json:"generatorOptions"`
		Maps []struct {
			Files []string `json:"files"`
		} `json:"configMapGenerator"`
	}
	read(t, "config/grafana/kustomization.yaml", &k)
	assert.Equal(t, "1", k.Options.Labels["grafana_dashboard"])
	var files []string
	for _, m := range k.Maps {
		files = append(files, m.Files...)
	}
	entries, err := os.ReadDir(filepath.Join(root, "config/grafana/dashboards"))
	require.NoError(t, err)
	for _, e := range entries {
		assert.Contains(t, files, "dashboards/"+e.Name())
	}
	assert.Len(t, files, len(entries))
}
