package observability

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAPanelCountsTheFirstEventAndSurvivesRestartsAndFailovers evaluates a panel of counts within an hour. Counters of rare
// events begin with their first one, which increase alone does not see.
func TestAPanelCountsTheFirstEventAndSurvivesRestartsAndFailovers(t *testing.T) {
	var expr string
	for _, p := range dashboards(t)["datapower-peering.json"].Panels {
		if p.Title == "Resets" {
			expr = variables.Replace(p.Targets[0].Expr)
		}
	}
	require.NotEmpty(t, expr)
	type sample struct {
		Labels string  `json:"labels"`
		Value  float64 `json:"value"`
	}
	type query struct {
		Expr    string   `json:"expr"`
		At      string   `json:"eval_time"`
		Samples []sample `json:"exp_samples"`
	}
	type input struct {
		Series string `json:"series"`
		Values string `json:"values"`
	}
	series := func(pod string) string {
		return `datapower_operator_peering_resets_total{namespace="a", pod="` + pod + `", strategy="action", result="healed"}`
	}
	inputs := []input{
		{series("dies"), "_x129 1x9 2x9 stale"},    // events at 130 and 140 minutes, gone at 150
		{series("restarts"), "_x159 1x9 3x9 1x60"}, // one event at 160, two at 170, a restart and one at 180
		{series("other"), "5x60 _x10 5x200"},       // none within the hour, and a while without scrapes
	}
	var queries []query
	for at, want := range map[string]float64{"125m": 0, "135m": 1, "145m": 2, "155m": 2, "165m": 3, "175m": 5, "185m": 6, "205m": 4} {
		queries = append(queries, query{"round(" + expr + ")", at, []sample{{`{strategy="action", result="healed"}`, want}}})
	}
	data, err := json.Marshal(map[string]any{"tests": []any{map[string]any{
		"interval": "1m", "input_series": inputs, "promql_expr_test": queries,
	}}})
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "test.yaml"), data, 0o600))
	out, err := promtool(t, dir, "test", "rules", "test.yaml")
	require.NoError(t, err, out)
}
