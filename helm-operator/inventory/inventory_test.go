package inventory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

// metadata of a StatefulSet, with changes.
func metadata(changes ...func(*metav1.PartialObjectMetadata)) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "prod", Name: "gw", UID: "uid-1", ResourceVersion: "100", Generation: 3,
		Labels:      map[string]string{"app": "gw", "tier": "gold"},
		Annotations: map[string]string{"note": "one"},
		OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Demo", Name: "gw", UID: "owner", Controller: ptr.To(true)},
		},
		Finalizers: []string{"keep"},
	}}
	for _, change := range changes {
		change(m)
	}
	return m
}

// uncounted is a kind without generations, a ConfigMap say.
func uncounted(m *metav1.PartialObjectMetadata) { m.Generation = 0 }

func TestTheFingerprintChangesWithWhatAChartCanRender(t *testing.T) {
	for name, change := range map[string]func(*metav1.PartialObjectMetadata){
		"the spec, which counts a generation": func(m *metav1.PartialObjectMetadata) { m.Generation++ },
		"another object of the same name":     func(m *metav1.PartialObjectMetadata) { m.UID = "uid-2" },
		"a label more":                        func(m *metav1.PartialObjectMetadata) { m.Labels["new"] = "" },
		"a label less":                        func(m *metav1.PartialObjectMetadata) { delete(m.Labels, "tier") },
		"another value of a label":            func(m *metav1.PartialObjectMetadata) { m.Labels["tier"] = "tin" },
		"a label that became an annotation": func(m *metav1.PartialObjectMetadata) {
			delete(m.Labels, "tier")
			m.Annotations["tier"] = "gold"
		},
		"an annotation more":             func(m *metav1.PartialObjectMetadata) { m.Annotations["new"] = "x" },
		"another value of an annotation": func(m *metav1.PartialObjectMetadata) { m.Annotations["note"] = "two" },
		"no annotations":                 func(m *metav1.PartialObjectMetadata) { m.Annotations = nil },
		"no owner":                       func(m *metav1.PartialObjectMetadata) { m.OwnerReferences = nil },
		"another owner":                  func(m *metav1.PartialObjectMetadata) { m.OwnerReferences[0].UID = "other" },
		"an owner more": func(m *metav1.PartialObjectMetadata) {
			m.OwnerReferences = append(m.OwnerReferences, metav1.OwnerReference{UID: "second"})
		},
		"an owner that no longer controls": func(m *metav1.PartialObjectMetadata) { m.OwnerReferences[0].Controller = nil },
		"a finalizer more":                 func(m *metav1.PartialObjectMetadata) { m.Finalizers = append(m.Finalizers, "more") },
		"a deletion":                       func(m *metav1.PartialObjectMetadata) { m.DeletionTimestamp = ptr.To(metav1.NewTime(time.Unix(1, 0))) },
	} {
		t.Run(name, func(t *testing.T) {
			assert.NotEqual(t, inventory.Fingerprint(metadata()), inventory.Fingerprint(metadata(change)))
			assert.NotEqual(t, inventory.Fingerprint(metadata(uncounted)), inventory.Fingerprint(metadata(uncounted, change)))
		})
	}
}

func TestTheFingerprintIgnoresWhatNoChartRenders(t *testing.T) {
	for name, change := range map[string]func(*metav1.PartialObjectMetadata){
		"an update of the status": func(m *metav1.PartialObjectMetadata) { m.ResourceVersion = "101" },
		"the kind, which a cache may leave out": func(m *metav1.PartialObjectMetadata) {
			m.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, inventory.Fingerprint(metadata()), inventory.Fingerprint(metadata(change)))
		})
	}
}

func TestKindsWithoutGenerationsAreComparedByResourceVersion(t *testing.T) {
	later := func(m *metav1.PartialObjectMetadata) { m.ResourceVersion = "101" }
	assert.NotEqual(t, inventory.Fingerprint(metadata(uncounted)), inventory.Fingerprint(metadata(uncounted, later)))
	assert.Equal(t, inventory.Fingerprint(metadata(uncounted)), inventory.Fingerprint(metadata(uncounted)))
}

// written is an entry of managed fields.
func written(manager, subresource, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Subresource: subresource,
		Time: ptr.To(metav1.NewTime(time.Unix(1700000000, 0))), FieldsV1: metav1.NewFieldsV1(fields),
	}
}

// byWriters is an object without generation, compacted, that was written as the entries tell.
func byWriters(entries ...metav1.ManagedFieldsEntry) *metav1.PartialObjectMetadata {
	m := metadata(uncounted)
	m.ManagedFields = entries
	inventory.Compact(m)
	return m
}

const twoFields = `{"f:data":{"f:a":{},"f:b":{}}}`

func TestKindsWithoutGenerationsAreComparedByWhoWroteWhat(t *testing.T) {
	base := inventory.Fingerprint(byWriters(written("operator", "", twoFields)))
	later := written("operator", "", twoFields)
	later.Time = ptr.To(metav1.NewTime(time.Unix(1700000001, 0)))
	applied := written("operator", "", twoFields)
	applied.Operation = metav1.ManagedFieldsOperationApply
	for name, m := range map[string]*metav1.PartialObjectMetadata{
		"another writer":       byWriters(written("kubectl-edit", "", twoFields)),
		"a writer more":        byWriters(written("operator", "", twoFields), written("kubectl-edit", "", twoFields)),
		"a field less":         byWriters(written("operator", "", `{"f:data":{"f:a":{}}}`)),
		"the same, but later":  byWriters(later),
		"another operation":    byWriters(applied),
		"by another way":       byWriters(written("operator", "scale", twoFields)),
		"nobody knows by whom": byWriters(),
	} {
		assert.NotEqual(t, base, inventory.Fingerprint(m), name)
	}
	status := byWriters(written("operator", "", twoFields), written("controller", "status", `{"f:status":{"f:x":{}}}`))
	status.ResourceVersion = "101"
	assert.Equal(t, base, inventory.Fingerprint(status), "an update of the status")
}

// The API server orders ports by number, a client that decodes and encodes them by their digits.
func TestTheOrderInWhichFieldsAreSpeltDoesNotMatter(t *testing.T) {
	server := byWriters(written("operator", "", `{"f:spec":{"f:ports":{"k:{\"port\":80}":{".":{},"f:port":{}},"k:{\"port\":443}":{}}}}`))
	client := byWriters(written("operator", "", `{"f:spec":{"f:ports":{"k:{\"port\":443}":{},"k:{\"port\":80}":{"f:port":{},".":{}}}}}`))
	assert.Equal(t, inventory.Fingerprint(server), inventory.Fingerprint(client))
}

func TestCompactingTwiceIsCompactingOnce(t *testing.T) {
	once := byWriters(written("operator", "", twoFields), written("kubectl-edit", "", twoFields))
	twice := once.DeepCopy()
	inventory.Compact(twice)
	assert.Equal(t, once, twice)
	require.Len(t, once.ManagedFields, 1)
	assert.Nil(t, once.ManagedFields[0].FieldsV1, "the fields themselves are not kept")
	none := metadata()
	inventory.Compact(none)
	assert.Empty(t, none.ManagedFields)
}

func TestTheDigestStandsForTheStateOfAllObjects(t *testing.T) {
	a, b := ref("ConfigMap", "a"), ref("ConfigMap", "b")
	state := func(fingerprints ...string) map[inventory.Ref]string {
		return map[inventory.Ref]string{a: fingerprints[0], b: fingerprints[1], ref("ConfigMap", "of no interest"): "x"}
	}
	base := inventory.Digest([]inventory.Ref{a, b}, state("1", "2"))
	assert.Regexp(t, "^[0-9a-f]{16}$", base)
	assert.Equal(t, base, inventory.Digest([]inventory.Ref{a, b}, state("1", "2")))
	assert.NotEqual(t, base, inventory.Digest([]inventory.Ref{a, b}, state("1", "3")), "an object changed")
	assert.NotEqual(t, base, inventory.Digest([]inventory.Ref{a, b}, state("2", "1")), "two objects changed places")
	assert.NotEqual(t, base, inventory.Digest([]inventory.Ref{a}, state("1", "2")), "an object less")
	assert.Empty(t, inventory.Digest([]inventory.Ref{a, b}, state("1", "")), "an object of unknown state")
	assert.Empty(t, inventory.Digest([]inventory.Ref{a, ref("Secret", "c")}, state("1", "2")), "an object that is missing")
}

func ref(kind, name string) inventory.Ref {
	return inventory.Ref{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: kind}, Namespace: "prod", Name: name}
}

func TestAnInventoryIsComparedObjectByObject(t *testing.T) {
	same, edited, unverified, missing, gone := ref("ConfigMap", "same"), ref("ConfigMap", "edited"),
		ref("ConfigMap", "unverified"), ref("ConfigMap", "missing"), ref("Secret", "same")
	live := map[inventory.Ref]*metav1.PartialObjectMetadata{
		same:       metadata(),
		edited:     metadata(func(m *metav1.PartialObjectMetadata) { m.Generation++ }),
		unverified: metadata(),
	}
	verified := map[inventory.Ref]string{
		same: inventory.Fingerprint(metadata()), edited: inventory.Fingerprint(metadata()), gone: inventory.Fingerprint(metadata()),
		ref("ConfigMap", "of no interest"): "x",
	}
	got, err := inventory.Compare([]inventory.Ref{same, edited, unverified, missing, gone}, verified,
		func(r inventory.Ref) (*metav1.PartialObjectMetadata, bool, error) {
			m, ok := live[r]
			return m, ok, nil
		})
	require.NoError(t, err)
	assert.Equal(t, map[inventory.Ref]inventory.Finding{
		edited: inventory.Suspect, unverified: inventory.Suspect, missing: inventory.Missing, gone: inventory.Missing,
	}, got)
}

func TestAnEmptyInventoryHasNoFindings(t *testing.T) {
	got, err := inventory.Compare(nil, nil, nil)
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestAnObjectThatCannotBeLookedUpIsNotMissing(t *testing.T) {
	cause := errors.New("the cache is not started")
	got, err := inventory.Compare([]inventory.Ref{ref("ConfigMap", "a")}, nil,
		func(inventory.Ref) (*metav1.PartialObjectMetadata, bool, error) { return nil, false, cause })
	require.ErrorIs(t, err, cause)
	assert.Empty(t, got)
}

func TestRefsOfDifferentGroupsOrNamespacesAreDifferent(t *testing.T) {
	a := inventory.Ref{GroupVersionKind: schema.GroupVersionKind{Group: "a", Version: "v1", Kind: "K"}, Name: "x"}
	b := a
	b.Group = "b"
	c := a
	c.Namespace = "ns"
	assert.Len(t, map[inventory.Ref]bool{a: true, b: true, c: true}, 3)
	assert.Equal(t, "K x", a.String())
}

func TestAManifestIsReadInOrder(t *testing.T) {
	got, err := inventory.Parse(`---
# Source: demo/templates/a.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
---
# only a comment
---

---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: b}
`)
	require.NoError(t, err)
	var names []string
	for _, u := range got {
		names = append(names, u.GetKind()+" "+u.GetName())
	}
	assert.Equal(t, []string{"ConfigMap a", "ClusterRole b"}, names)
}

func TestAnEmptyManifestHasNoObjects(t *testing.T) {
	for _, manifest := range []string{"", "---\n", "# nothing\n", "---\n---\n"} {
		got, err := inventory.Parse(manifest)
		require.NoError(t, err)
		assert.Empty(t, got)
	}
}

func TestABrokenManifestIsRefused(t *testing.T) {
	for _, manifest := range []string{"kind: [", "just words", "- a\n- b\n"} {
		_, err := inventory.Parse(manifest)
		assert.ErrorContains(t, err, "parse manifest", manifest)
	}
}

func TestARefTakesTheReleasesNamespaceWhereTheObjectNamesNone(t *testing.T) {
	object := func(namespace string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{}
		u.SetAPIVersion("v1")
		u.SetKind("ConfigMap")
		u.SetName("x")
		u.SetNamespace(namespace)
		return u
	}
	assert.Equal(t, "prod", inventory.RefOf(object(""), true, "prod").Namespace)
	assert.Equal(t, "other", inventory.RefOf(object("other"), true, "prod").Namespace)
	assert.Empty(t, inventory.RefOf(object(""), false, "prod").Namespace)
	assert.Empty(t, inventory.RefOf(object("other"), false, "prod").Namespace, "a cluster-scoped kind has no namespace")
	assert.Equal(t, schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, inventory.RefOf(object(""), true, "prod").GroupVersionKind)
}
