package observability_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/test/observability/shipped"
)

func TestThreeReplicasTellTheTruthOnceAndTheAlertsFire(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: gateways, Name: "admin-credentials"}, StringData: map[string]string{"password": "hunter2"}})
	w.create(service(gateways, "one"))
	w.create(service(gateways, "two"))
	w.create(service(gateways, "three"))
	for _, object := range peered(w.certificate()) {
		w.create(object)
	}
	w.startAll()
	w.untilCertified()
	reader, stranger := w.token("reader", true), w.token("stranger", false)
	conversion := w.startConversion()

	t.Run("every replica and container serves who may read, and nobody else", func(t *testing.T) { servesReaders(t, w, reader, stranger) })
	t.Run("a resource that is gone has no series", func(t *testing.T) { forgets(t, w, reader) })
	t.Run("the leader alone tells of resources", func(t *testing.T) { tellsOnce(t, w, reader) })
	t.Run("every metric of ours is in the documentation", func(t *testing.T) { areDocumented(t, w, reader) })
	p := startPrometheus(w, reader, conversion.metrics)
	t.Run("Prometheus finds every target up and every rule right", func(t *testing.T) { p.at(t).findsAllUp() })
	t.Run("nothing alarms while all is well", func(t *testing.T) { p.at(t).alarmsNobody() })
	t.Run("the sidecar's leader is killed: another one is marked and tells the same", func(t *testing.T) {
		p.at(t).failsOver(reader, "sidecar", "leader", syscall.SIGKILL)
	})
	t.Run("the helm-operator's leader ends: another one is marked and tells the same", func(t *testing.T) {
		p.at(t).failsOver(reader, "helm-operator", "helm-operator-leader", syscall.SIGTERM)
	})
	t.Run("nothing was ever told twice", func(t *testing.T) { p.at(t).sawNothingTwice() })
	t.Run("nothing alarms after a failover", func(t *testing.T) { p.at(t).alarmsNobody() })
	t.Run("each alert fires when its condition is made", func(t *testing.T) { p.at(t).alarms(reader, conversion) })
	t.Run("every metric that a rule or a panel names was there", func(t *testing.T) { p.at(t).sawAllThatIsNamed() })
}

func servesReaders(t *testing.T, w *world, reader, stranger string) {
	for _, r := range w.all {
		require.Eventually(t, func() bool { code, _ := w.read(r, reader); return code == http.StatusOK }, patience, tick, "%s %s", r.pod, r.container)
		code, _ := w.read(r, "")
		assert.Equal(t, http.StatusUnauthorized, code, "%s %s: nobody in particular", r.pod, r.container)
		code, _ = w.read(r, stranger)
		assert.Equal(t, http.StatusForbidden, code, "%s %s: somebody without the right", r.pod, r.container)
	}
}

// wanted is what must be told, and by one replica.
var wanted = map[string]map[string]float64{
	"datapower_operator_release_revision": {
		"kind=DataPowerService,name=one,namespace=gateways": 1, "kind=DataPowerService,name=two,namespace=gateways": 1,
		"kind=DataPowerService,name=gw,namespace=peers": 1},
	"datapower_operator_release_state": {
		"kind=DataPowerService,name=one,namespace=gateways,state=Deployed": 1, "kind=DataPowerService,name=two,namespace=gateways,state=Deployed": 1,
		"kind=DataPowerService,name=gw,namespace=peers,state=Deployed": 1},
	"datapower_operator_resources": {
		"kind=DataPowerService,phase=Failed": 0, "kind=DataPowerService,phase=Pending": 0, "kind=DataPowerService,phase=Running": 3,
		"kind=DataPowerService,phase=Unknown": 0, "kind=DataPowerMonitor,phase=Failed": 0, "kind=DataPowerMonitor,phase=Pending": 0,
		"kind=DataPowerMonitor,phase=Running": 3, "kind=DataPowerMonitor,phase=Unknown": 0},
	"datapower_operator_monitor_debounce_seconds": {"name=one,namespace=gateways": 10, "name=two,namespace=gateways": 10, "name=gw,namespace=peers": 1},
	"datapower_operator_namespace_quota": { // not of namespaces without services
		"namespace=gateways,resource=pods,resourcequota=limits,type=hard": 10, "namespace=gateways,resource=pods,resourcequota=limits,type=used": 2,
		"namespace=gateways,resource=requests.storage,resourcequota=limits,type=hard": 1500 << 20, "namespace=gateways,resource=requests.storage,resourcequota=limits,type=used": 0},
}

// tellsOnce waits until all that is wanted is told, each by one replica.
func tellsOnce(t *testing.T, w *world, reader string) {
	for name, want := range wanted {
		var got series
		assert.Eventually(t, func() bool { got = w.gather(reader, name); return assert.ObjectsAreEqual(want, got.values) }, patience, tick, name)
		assert.Equal(t, want, got.values, name)
		for labels, tellers := range got.tellers {
			assert.Equal(t, 1, tellers, "%s{%s} is told by", name, labels)
		}
	}
	for container, label := range map[string]string{"sidecar": "leader", "helm-operator": "helm-operator-leader"} {
		marked(t, w, reader, container, label)
	}
}

// marked waits until the leader's pod and no other wears a label.
func marked(t *testing.T, w *world, reader, container, label string) {
	var wearing []string
	require.Eventually(t, func() bool {
		leads := w.leader(reader, container)
		wearing = w.wearing(label)
		return leads != nil && slices.Equal(wearing, []string{leads.pod})
	}, patience, tick, "%s: %v", label, &wearing)
}

// failsOver ends a leader, and starts it again when another one leads.
func (p *prometheus) failsOver(reader, container, label string, signal syscall.Signal) {
	before := p.leader(reader, container)
	require.NotNil(p, before)
	before.stop(signal)
	var after *replica
	require.Eventually(p, func() bool {
		wearing := p.wearing(label)
		require.LessOrEqual(p, len(wearing), 1, "two pods wear the label at once")
		after = p.leader(reader, container)
		return after != nil && slices.Equal(wearing, []string{after.pod})
	}, patience, tick)
	assert.NotEqual(p, before.pod, after.pod)
	tellsOnce(p.T, p.world, reader)
	told := map[string]string{"sidecar": "datapower_operator_resources", "helm-operator": "datapower_operator_release_state"}[container]
	p.until(fmt.Sprintf(`sum(%s{kind="DataPowerService", pod=%q})`, told, after.pod), "3")
	p.until(fmt.Sprintf(`count(count by (pod) (%s))`, told), "1")
	p.run(before)
	p.until(`count(up == 1)`, fmt.Sprint(len(p.scraped)+1))
}

func forgets(t *testing.T, w *world, reader string) {
	three := service(gateways, "three")
	told := []string{"release_state", "release_revision", "service_condition", "monitor_debounce_seconds"}
	tells := func(name string) bool {
		for labels := range w.gather(reader, "datapower_operator_"+name).values {
			if strings.Contains(labels, "name=three,") {
				return true
			}
		}
		return false
	}
	for _, name := range told {
		require.Eventually(t, func() bool { return tells(name) }, patience, tick, name)
	}
	require.NoError(t, w.kube.Delete(t.Context(), three))
	for _, name := range told {
		require.Eventually(t, func() bool {
			return !tells(name) && apierrors.IsNotFound(w.kube.Get(t.Context(), client.ObjectKeyFromObject(three), &v1beta3.DataPowerService{}))
		}, patience, tick, name)
	}
}

func areDocumented(t *testing.T, w *world, reader string) {
	text, err := os.ReadFile(filepath.Join(repository, "docs", "metrics.md"))
	require.NoError(t, err)
	for _, r := range w.all {
		_, families := w.read(r, reader)
		for name := range families {
			if strings.HasPrefix(name, "datapower_operator_") {
				assert.Contains(t, string(text), "`"+name+"`", "%s tells of it", r.container)
			}
		}
	}
}

// at is the same Prometheus for a part of the test.
func (p *prometheus) at(t *testing.T) *prometheus {
	inner := *p.world
	inner.T = t
	view := *p
	view.world = &inner
	return &view
}

func (p *prometheus) findsAllUp() {
	p.until("count(up == 1)", fmt.Sprint(len(p.scraped)+1))
	p.until("count(up == 0)")
	// As an alert about it is written: a Lease of the helm-operator, and two of the sidecar.
	p.until(`sum by (name) (leader_election_master_status)`, "1", "1", "1")
	p.until(`sum(datapower_operator_resources{kind="DataPowerService"} * on (namespace, pod, container) group_left (replica_role) datapower_operator_replica_role{replica_role="leader"})`, "3")
	require.Eventually(p, func() bool { return len(p.judged()) == 0 }, patience, tick, "rules: %v", p.judged())
}

// judged are the shipped rules that Prometheus has not evaluated yet, or not without an error.
func (p *prometheus) judged() []string {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	require.NoError(p, p.get("rules", nil, &data))
	health := map[string]string{}
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			health[r.Name] = r.Health + " " + r.LastError
		}
	}
	var wrong []string
	for _, g := range shippedRules(p).Groups {
		for _, r := range g.Rules {
			if name := r.Alert + r.Record; strings.TrimSpace(health[name]) != "ok" {
				wrong = append(wrong, name+": "+health[name])
			}
		}
	}
	return wrong
}

// healthy is how long nothing may fire: six evaluations of every rule.
const healthy = 6 * time.Second

// alarmsNobody waits until the start, or what was done on purpose, is forgotten, and then for an alert that should not fire.
func (p *prometheus) alarmsNobody() {
	p.until("count(ALERTS)")
	since := time.Now()
	time.Sleep(healthy)
	fired, err := p.query(fmt.Sprintf(`count_over_time(ALERTS{alertstate="firing"}[%s])`, over(since)))
	require.NoError(p, err)
	assert.Empty(p, fired)
}

func (p *prometheus) sawNothingTwice() {
	for _, told := range []string{"datapower_operator_resources", "datapower_operator_release_state"} {
		p.until(fmt.Sprintf(`max_over_time(sum(%s{kind="DataPowerService"})[30m:1s])`, told), "3")
	}
}

// unseen are metrics that a rule or panel names and that are not in any scrape of this test, with the reason.
var unseen = map[string]string{
	"datapower_operator_series_omitted": "there only while there are more than 2000 resources of a kind",
}

func (p *prometheus) sawAllThatIsNamed() {
	names := p.names()
	named := map[string]string{}
	for _, g := range shippedRules(p).Groups {
		for _, r := range g.Rules {
			for _, metric := range shipped.MetricsOf(r.Expr) {
				named[metric] = r.Alert + r.Record
			}
		}
	}
	for file, d := range shipped.Dashboards(p, repository) {
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				for _, metric := range shipped.MetricsOf(target.Expr) {
					named[metric] = file + ": " + panel.Title
				}
			}
		}
	}
	for metric, by := range named {
		if unseen[metric] == "" {
			assert.True(p, names[metric], "%s names %s, which was in no scrape", by, metric)
		}
	}
}
