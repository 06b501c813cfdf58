package observability

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	// Registers the metrics of controllers.
	_ "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/test/observability/shipped"
)

// prometheusOwn are metrics that Prometheus itself makes.
var prometheusOwn = []string{"up", "ALERTS"}

// Both programs ask for this metric of client-go, too.
func init() { metrics.RegisterRESTClientMetrics(metrics.MetricRequestLatency) }

var (
	ownRow = regexp.MustCompile("(?m)^\\| `(datapower_operator_[a-z0-9_]+)` \\| (gauge|counter|histogram) \\|")
	fqName = regexp.MustCompile(`fqName: "([^"]+)"`)
	inText = regexp.MustCompile(`\b(?:datapower_operator|controller_runtime|workqueue|rest_client|leader_election|certwatcher)_[a-z0-9_]*[a-z0-9]\b`)
)

var metricsOf = shipped.MetricsOf

func TestMetricsOfAnExpressionAreFound(t *testing.T) {
	for expr, want := range map[string][]string{
		`up{job="a_b"} == 0`: {"up"},
		`sum by (namespace, le) (rate(x_bucket{a="b",c=~"d|e"}[5m])) > 0.1`:   {"x_bucket"},
		`time() - max(a) > on (b) 3 * c offset 15m`:                           {"a", "c"},
		`level:metric:op{n=~"$ns"} / on (pod) group_left (x) d or vector(0)`:  {"level:metric:op", "d"},
		`label_replace(absent(up{c="s"} == 1), "container", "s", "", "") > 5`: {"up"},
	} {
		assert.Equal(t, want, metricsOf(expr), expr)
	}
}

// known are all metrics there can be: of docs/metrics.md, which is generated from the code, of the versions of the libraries that
// are linked, of Prometheus, and recorded ones.
func known(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	text, err := os.ReadFile(filepath.Join(root, "docs/metrics.md"))
	require.NoError(t, err)
	for _, row := range ownRow.FindAllStringSubmatch(string(text), -1) {
		names[row[1]] = true
		if row[2] == "histogram" {
			withSuffixes(names, row[1])
		}
	}
	collector, ok := metrics.Registry.(prometheus.Collector)
	require.True(t, ok, "the registry describes itself")
	descriptions := make(chan *prometheus.Desc)
	go func() {
		collector.Describe(descriptions)
		close(descriptions)
	}()
	for d := range descriptions {
		found := fqName.FindStringSubmatch(d.String())
		require.NotNil(t, found)
		names[found[1]] = true
		withSuffixes(names, found[1])
	}
	for _, name := range prometheusOwn {
		names[name] = true
	}
	for _, kind := range kinds {
		for _, g := range rulesOf(t, kind).Groups {
			for _, r := range g.Rules {
				names[r.Record] = true
			}
		}
	}
	return names
}

// withSuffixes adds the series of a histogram. A description does not tell whether a library's metric is one.
func withSuffixes(names map[string]bool, name string) {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		names[name+suffix] = true
	}
}

func TestEveryMetricThatARuleNamesExists(t *testing.T) {
	names := known(t)
	for _, kind := range kinds {
		for _, g := range rulesOf(t, kind).Groups {
			for _, r := range g.Rules {
				found := metricsOf(r.Expr)
				assert.NotEmpty(t, found, "%s%s", r.Alert, r.Record)
				for _, name := range found {
					assert.True(t, names[name], "%s%s: there is no metric %s", r.Alert, r.Record, name)
				}
			}
		}
	}
}

var inQuery = regexp.MustCompile(`^label_values\((.*), [a-z_]+\)$`)

func TestEveryMetricThatADashboardNamesExists(t *testing.T) {
	names := known(t)
	for file, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				found := metricsOf(target.Expr)
				assert.NotEmpty(t, found, "%s: %s", file, p.Title)
				for _, name := range found {
					assert.True(t, names[name], "%s: %s: there is no metric %s", file, p.Title, name)
				}
			}
		}
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			query := inQuery.FindStringSubmatch(v.Definition)
			require.NotNil(t, query, "%s: variable %s", file, v.Name)
			for _, name := range metricsOf(query[1]) {
				assert.True(t, names[name], "%s: variable %s: there is no metric %s", file, v.Name, name)
			}
		}
	}
}

func TestEveryMetricThatADocumentNamesExists(t *testing.T) {
	names := known(t)
	files, err := filepath.Glob(filepath.Join(root, "docs/runbooks/*.md"))
	require.NoError(t, err)
	more, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	require.NoError(t, err)
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range inText.FindAllString(string(text), -1) {
			assert.True(t, names[name], "%s: there is no metric %s", filepath.Base(file), name)
		}
	}
}

func TestEveryMetricOfTheOperatorIsOnADashboardOrInARule(t *testing.T) {
	used := map[string]bool{}
	use := func(expr string) {
		for _, name := range metricsOf(expr) {
			used[name] = true
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				used[strings.TrimSuffix(name, suffix)] = true
			}
		}
	}
	for _, kind := range kinds {
		for _, g := range rulesOf(t, kind).Groups {
			for _, r := range g.Rules {
				use(r.Expr)
			}
		}
	}
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				use(target.Expr)
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "docs/metrics.md"))
	require.NoError(t, err)
	for _, row := range ownRow.FindAllStringSubmatch(string(text), -1) {
		assert.True(t, used[row[1]], "nobody looks at %s", row[1])
	}
}
