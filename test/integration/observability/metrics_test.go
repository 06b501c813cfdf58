package observability_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

func TestThreeReplicasTellTheTruthOnce(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: gateways, Name: "admin-credentials"}, StringData: map[string]string{"password": "hunter2"}})
	for _, name := range []string{"one", "two"} {
		w.create(service(name))
	}
	w.startAll()
	w.untilCertified()
	reader, stranger := w.token("reader", true), w.token("stranger", false)

	t.Run("every replica and container serves who may read, and nobody else", func(t *testing.T) { servesReaders(t, w, reader, stranger) })
	t.Run("the leader alone tells of resources", func(t *testing.T) { tellsOnce(t, w, reader) })
	t.Run("every metric of ours is in the documentation", func(t *testing.T) { areDocumented(t, w, reader) })
	prometheus := startPrometheus(w, reader)
	t.Run("Prometheus finds every target up", func(t *testing.T) { prometheus.findsAllUp(t) })
	t.Run("the sidecar's leader is killed: another one is marked and tells the same", func(t *testing.T) {
		failsOver(t, w, reader, "sidecar", "leader", syscall.SIGKILL)
	})
	t.Run("the helm-operator's leader ends: another one is marked and tells the same", func(t *testing.T) {
		failsOver(t, w, reader, "helm-operator", "helm-operator-leader", syscall.SIGTERM)
	})
	t.Run("Prometheus has never seen anything twice", func(t *testing.T) { prometheus.sawNothingTwice(t) })
	t.Run("a resource that is gone has no series", func(t *testing.T) { forgets(t, w, reader) })
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
		"kind=DataPowerService,name=one,namespace=gateways": 1, "kind=DataPowerService,name=two,namespace=gateways": 1},
	"datapower_operator_release_state": {
		"kind=DataPowerService,name=one,namespace=gateways,state=Deployed": 1, "kind=DataPowerService,name=two,namespace=gateways,state=Deployed": 1},
	"datapower_operator_resources": {
		// There is no node that could run their pods.
		"kind=DataPowerService,phase=Failed": 2, "kind=DataPowerService,phase=Pending": 0, "kind=DataPowerService,phase=Running": 0,
		"kind=DataPowerService,phase=Unknown": 0, "kind=DataPowerMonitor,phase=Failed": 0, "kind=DataPowerMonitor,phase=Pending": 0,
		"kind=DataPowerMonitor,phase=Running": 2, "kind=DataPowerMonitor,phase=Unknown": 0},
	"datapower_operator_monitor_debounce_seconds": {"name=one,namespace=gateways": 10, "name=two,namespace=gateways": 10},
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

func failsOver(t *testing.T, w *world, reader, container, label string, signal syscall.Signal) {
	before := w.leader(reader, container)
	require.NotNil(t, before)
	before.stop(signal)
	require.Eventually(t, func() bool {
		wearing := w.wearing(label)
		require.LessOrEqual(t, len(wearing), 1, "two pods wear the label at once")
		leads := w.leader(reader, container)
		return leads != nil && slices.Equal(wearing, []string{leads.pod})
	}, patience, tick)
	assert.NotEqual(t, before.pod, w.leader(reader, container).pod)
	tellsOnce(t, w, reader)
}

func forgets(t *testing.T, w *world, reader string) {
	require.NoError(t, w.kube.Delete(t.Context(), &v1beta3.DataPowerService{ObjectMeta: service("one").ObjectMeta}))
	for _, name := range []string{"release_state", "release_revision", "service_condition", "monitor_debounce_seconds"} {
		require.Eventually(t, func() bool {
			for labels := range w.gather(reader, "datapower_operator_"+name).values {
				if strings.Contains(labels, "name=one,") {
					return false
				}
			}
			return w.kube.Get(t.Context(), client.ObjectKeyFromObject(service("one")), &v1beta3.DataPowerService{}) != nil
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
