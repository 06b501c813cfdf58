package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
)

// memo is what a Reconciler remembers of one custom resource between reconciles. Losing it costs
// one look at the cluster, nothing else: the truth is in the API server.
type memo struct {
	uid types.UID
	// digest of the inputs that the deployed release was last seen to be in line with.
	digest string
	// releaseMark identifies the stored revisions as of that look; it is empty while the cache does
	// not show the revision that was written last.
	releaseMark string
	// revision that was deployed then.
	revision int
	// deployed is what the status says of it.
	deployed *status.DeployedRelease
	// wrote is when this process last wrote to the release or its objects.
	wrote time.Time
	// inventory of the deployed release, and the fingerprint of each object when it was last
	// verified.
	inventory []inventory.Ref
	verified  map[inventory.Ref]string
	// lost tells, once an uninstall has begun, whether the record of what is deployed was gone by then.
	lost    *bool
	failure failure
	warned  map[string]bool
	// status as it was written last, nil before the first look.
	status *status.Status
	// statusWritten is when.
	statusWritten time.Time
}

// failure counts attempts that were refused before they left a revision behind.
type failure struct {
	digest   string
	attempts int
	last     time.Time
}

func (f *failure) count(digest string, now time.Time) {
	if f.digest != digest {
		*f = failure{digest: digest}
	}
	f.attempts++
	f.last = now
}

func (f *failure) of(digest string) (int, time.Time) {
	if f.digest != digest {
		return 0, time.Time{}
	}
	return f.attempts, f.last
}

// memos is safe for concurrent use; a single memo is used by one reconcile at a time, because a
// controller never reconciles one resource twice at once.
type memos struct {
	mu  sync.Mutex
	all map[types.NamespacedName]*memo
}

func (m *memos) get(name types.NamespacedName, uid types.UID) *memo {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[types.NamespacedName]*memo{}
	}
	if found, ok := m.all[name]; ok && found.uid == uid {
		return found
	}
	fresh := &memo{uid: uid, verified: map[inventory.Ref]string{}, warned: map[string]bool{}}
	m.all[name] = fresh
	return fresh
}

// has tells whether the resource was reconciled by this process.
func (m *memos) has(name types.NamespacedName, uid types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.all[name]
	return ok && found.uid == uid
}

func (m *memos) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, name)
}

func labelsOf(cr *unstructured.Unstructured) labels.Set { return cr.GetLabels() }
