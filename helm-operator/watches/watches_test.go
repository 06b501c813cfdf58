package watches_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

// entry is a valid entry of a watches file with further lines of YAML.
func entry(lines ...string) string {
	return "- group: example.test\n  version: v1\n  kind: Demo\n  chart: charts/demo\n" + indent(lines)
}

func indent(lines []string) string {
	out := ""
	for _, line := range lines {
		out += "  " + line + "\n"
	}
	return out
}

func parseOne(t *testing.T, doc string) watches.Watch {
	t.Helper()
	got, err := watches.Parse([]byte(doc), "/etc/operator")
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0]
}

func TestEveryKeyIsRead(t *testing.T) {
	w := parseOne(t, entry(
		"overrideValues:",
		"  image.tag: 10.6.0",
		`  quoted: "1.10"`,
		"  replicas: 3",
		"  debug: true",
		"  hosts: [a, b]",
		"  probe: {period: 5}",
		"reconcilePeriod: 1m30s",
		"watchDependentResources: false",
		"selector: {matchLabels: {tier: gold}, matchExpressions: [{key: old, operator: DoesNotExist}]}",
		"dryRunOption: server",
		"maxConcurrentReconciles: 7",
		"maxReleaseHistory: 2",
		"ignoreDrift: [{kind: StatefulSet, paths: [/spec/replicas, /spec/template]}]",
		"driftManagers: [kubectl*, argocd]",
		"fallbackVersions: [v1beta2, v1beta1]",
		"mergeStatus: true",
	))
	assert.Equal(t, []string{"v1beta2", "v1beta1"}, w.FallbackVersions)
	assert.True(t, w.MergeStatus)
	assert.Equal(t, schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Demo"}, w.GroupVersionKind)
	assert.Equal(t, "/etc/operator/charts/demo", w.ChartPath)
	assert.Equal(t, map[string]any{
		"image.tag": "10.6.0", "quoted": "1.10", "replicas": float64(3), "debug": true,
		"hosts": []any{"a", "b"}, "probe": map[string]any{"period": float64(5)},
	}, w.OverrideValues, "values keep the type that they have in the file")
	assert.Equal(t, 90*time.Second, w.ReconcilePeriod)
	assert.False(t, w.WatchDependentResources)
	assert.Equal(t, watches.DryRunServer, w.DryRunOption)
	assert.Equal(t, 7, w.MaxConcurrentReconciles)
	assert.Equal(t, 2, w.MaxReleaseHistory)
	assert.Equal(t, drift.Rules{{Kind: "StatefulSet", Paths: []string{"/spec/replicas", "/spec/template"}}}, w.IgnoreDrift)
	assert.Equal(t, []string{"kubectl*", "argocd"}, w.DriftManagers)
	assert.True(t, w.Selector.Matches(labels.Set{"tier": "gold"}))
	assert.False(t, w.Selector.Matches(labels.Set{"tier": "gold", "old": "yes"}))
	assert.False(t, w.Selector.Matches(labels.Set{"tier": "tin"}))
}

func TestAbsentKeysHaveDefaults(t *testing.T) {
	w := parseOne(t, entry())
	assert.Empty(t, w.OverrideValues)
	assert.Zero(t, w.ReconcilePeriod, "no periodic reconciles")
	assert.True(t, w.WatchDependentResources)
	assert.Equal(t, watches.DryRunClient, w.DryRunOption)
	assert.Zero(t, w.MaxConcurrentReconciles, "the program decides")
	assert.Equal(t, 10, w.MaxReleaseHistory)
	assert.Empty(t, w.IgnoreDrift)
	assert.Nil(t, w.DriftManagers, "the default ones")
	require.NotNil(t, w.Selector)
	assert.True(t, w.Selector.Matches(labels.Set{}), "everything is selected")
}

func TestACoreKindNeedsNoGroup(t *testing.T) {
	w := parseOne(t, "- {version: v1, kind: Demo, chart: demo}")
	assert.Empty(t, w.Group)
}

func TestSpellingsOfDryRunOption(t *testing.T) {
	for value, want := range map[string]watches.DryRunOption{
		"client": watches.DryRunClient,
		"server": watches.DryRunServer,
		"none":   watches.DryRunClient,
		`""`:     watches.DryRunClient,
	} {
		t.Run(value, func(t *testing.T) {
			assert.Equal(t, want, parseOne(t, entry("dryRunOption: "+value)).DryRunOption)
		})
	}
}

func TestNobodysAdditionsAreRemovedWhenNobodyIsNamed(t *testing.T) {
	w := parseOne(t, entry("driftManagers: []"))
	assert.NotNil(t, w.DriftManagers)
	assert.Empty(t, w.DriftManagers)
}

func TestBoundsAreInclusive(t *testing.T) {
	w := parseOne(t, entry("reconcilePeriod: 0s", "maxConcurrentReconciles: 1", "maxReleaseHistory: 1"))
	assert.Zero(t, w.ReconcilePeriod)
	assert.Equal(t, 1, w.MaxConcurrentReconciles)
	assert.Equal(t, 1, w.MaxReleaseHistory)
}

func TestChartPathsStartAtTheFolderOfTheFile(t *testing.T) {
	for path, want := range map[string]string{
		"demo":                  "/etc/operator/demo",
		"./charts/demo":         "/etc/operator/charts/demo",
		"../demo-1.0.0.tgz":     "/etc/demo-1.0.0.tgz",
		"/opt/charts/demo":      "/opt/charts/demo",
		"charts/../charts/demo": "/etc/operator/charts/demo",
	} {
		t.Run(path, func(t *testing.T) {
			w := parseOne(t, "- {group: g, version: v1, kind: Demo, chart: "+path+"}")
			assert.Equal(t, want, w.ChartPath)
		})
	}
}

func TestFaultsAreRefusedWithTheirName(t *testing.T) {
	tests := map[string]struct {
		doc  string
		want []string
	}{
		"an empty file":                       {"", []string{"no watches"}},
		"an empty list":                       {"[]", []string{"no watches"}},
		"no list":                             {"group: example.test", []string{"parse watches"}},
		"no YAML":                             {"- {group: [", []string{"parse watches"}},
		"an unknown key":                      {entry("reconcilPeriod: 1m"), []string{"reconcilPeriod"}},
		"an unknown key within the selector":  {entry("selector: {matchLabel: {a: b}}"), []string{"matchLabel"}},
		"a key that appears twice":            {entry("maxReleaseHistory: 1", "maxReleaseHistory: 2"), []string{"maxReleaseHistory"}},
		"no version":                          {"- {group: g, kind: Demo, chart: demo}", []string{"entry 0 (Demo)", "version must not be empty"}},
		"no kind":                             {"- {group: g, version: v1, chart: demo}", []string{"entry 0", "kind must not be empty"}},
		"no chart":                            {"- {group: g, version: v1, kind: Demo}", []string{"entry 0 (Demo)", "chart must not be empty"}},
		"nothing at all in an entry":          {"- {}", []string{"version must not be empty", "kind must not be empty", "chart must not be empty"}},
		"a negative period":                   {entry("reconcilePeriod: -1s"), []string{"reconcilePeriod must not be negative", "-1s"}},
		"a period without a unit":             {entry("reconcilePeriod: 60"), []string{"parse watches"}},
		"a period of words":                   {entry("reconcilePeriod: soon"), []string{"soon"}},
		"no worker":                           {entry("maxConcurrentReconciles: 0"), []string{"maxConcurrentReconciles must be at least 1", "is 0"}},
		"a negative number of workers":        {entry("maxConcurrentReconciles: -2"), []string{"maxConcurrentReconciles must be at least 1", "is -2"}},
		"no history":                          {entry("maxReleaseHistory: 0"), []string{"maxReleaseHistory must be at least 1", "is 0"}},
		"a history that is no number":         {entry("maxReleaseHistory: many"), []string{"maxReleaseHistory"}},
		"another dry run option":              {entry("dryRunOption: clientt"), []string{"dryRunOption must be client or server", `"clientt"`}},
		"a selector with an unknown operator": {entry("selector: {matchExpressions: [{key: a, operator: Is, values: [b]}]}"), []string{"selector", "Is"}},
		"a selector that needs values":        {entry("selector: {matchExpressions: [{key: a, operator: In}]}"), []string{"selector"}},
		"a flag that is no boolean":           {entry(`watchDependentResources: "maybe"`), []string{"watchDependentResources"}},
		"override values that are no map":     {entry("overrideValues: [a]"), []string{"overrideValues"}},
		"a drift rule without a kind":         {entry("ignoreDrift: [{paths: [/a]}]"), []string{"ignoreDrift[0]"}},
		"a drift rule without a slash":        {entry("ignoreDrift: [{kind: A, paths: [/a]}, {kind: B, paths: [b.c]}]"), []string{"ignoreDrift[1]", "b.c"}},
		"a drift rule with an unknown key":    {entry("ignoreDrift: [{kind: A, path: /a}]"), []string{"path"}},
		"a drift manager that is no pattern":  {entry(`driftManagers: [ok, "[a"]`), []string{"driftManagers[1]", "[a"}},
		"one kind twice":                      {entry() + entry(), []string{"entry 1 (Demo)", "watched by entry 0"}},
		"one kind in two versions": {
			entry() + "- {group: example.test, version: v2, kind: Demo, chart: demo}", []string{"entry 1 (Demo)", "watched by entry 0"},
		},
		"several faults in several entries": {
			entry("maxReleaseHistory: 0", "dryRunOption: no") + "- {group: g, version: v1, kind: Other}",
			[]string{"entry 0 (Demo)", "maxReleaseHistory", "dryRunOption", "entry 1 (Other)", "chart must not be empty"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := watches.Parse([]byte(test.doc), "/etc/operator")
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

func TestTwoGroupsMayHaveAKindOfTheSameName(t *testing.T) {
	got, err := watches.Parse([]byte(entry()+"- {group: other.test, version: v1, kind: Demo, chart: demo}"), "/")
	require.NoError(t, err)
	assert.Len(t, got, 2)
}

func TestEntriesKeepTheirOrder(t *testing.T) {
	doc := ""
	for _, kind := range []string{"Zebra", "Ant", "Mule"} {
		doc += fmt.Sprintf("- {group: g, version: v1, kind: %s, chart: c}\n", kind)
	}
	got, err := watches.Parse([]byte(doc), "/")
	require.NoError(t, err)
	var kinds []string
	for _, w := range got {
		kinds = append(kinds, w.Kind)
	}
	assert.Equal(t, []string{"Zebra", "Ant", "Mule"}, kinds)
}

func TestLoadFindsChartsBesideTheFileWhateverTheWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.Mkdir("config", 0o700))
	require.NoError(t, os.WriteFile("config/watches.yaml", []byte(entry()), 0o600))
	got, err := watches.Load("config/watches.yaml")
	require.NoError(t, err)
	require.Len(t, got, 1)
	real, err := filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	assert.Contains(t, []string{filepath.Join(dir, "config/charts/demo"), filepath.Join(real, "config/charts/demo")}, got[0].ChartPath)
}

func TestLoadNamesTheFileThatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watches.yaml")
	_, err := watches.Load(path)
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.WriteFile(path, []byte(entry("maxReleaseHistory: 0")), 0o600))
	_, err = watches.Load(path)
	assert.ErrorContains(t, err, path)
	assert.ErrorContains(t, err, "maxReleaseHistory")
}

func TestTheOperatorsOwnWatchesFileIsValid(t *testing.T) {
	path, err := filepath.Abs("../../watches.yaml")
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Skip("the repository has no watches.yaml here")
	}
	got, err := watches.Load(path)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(filepath.Dir(path), "helm-charts/datapowerservice"), got[0].ChartPath)
}

func FuzzParse(f *testing.F) {
	f.Add(entry())
	f.Add(entry("overrideValues: {a.b: [1, {c: d}]}", "reconcilePeriod: 1h", "selector: {matchLabels: {a: b}}"))
	f.Add("- {}")
	f.Add("- null")
	f.Add("null")
	f.Add(entry("maxReleaseHistory: 99999999999999999999"))
	f.Add("- &a {group: g, version: v1, kind: K, chart: c}\n- *a")
	f.Fuzz(func(t *testing.T, doc string) {
		got, err := watches.Parse([]byte(doc), "/etc/operator")
		if err != nil {
			return
		}
		require.NotEmpty(t, got)
		for _, w := range got {
			assert.NotEmpty(t, w.Version)
			assert.NotEmpty(t, w.Kind)
			assert.True(t, strings.HasPrefix(w.ChartPath, "/"), w.ChartPath)
			assert.GreaterOrEqual(t, w.ReconcilePeriod, time.Duration(0))
			assert.GreaterOrEqual(t, w.MaxConcurrentReconciles, 0)
			assert.GreaterOrEqual(t, w.MaxReleaseHistory, 1)
			assert.NotNil(t, w.Selector)
		}
	})
}
