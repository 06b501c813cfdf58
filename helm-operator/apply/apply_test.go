package apply

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

const (
	ownerType = "operator-sdk/primary-resource-type"
	ownerName = "operator-sdk/primary-resource"
)

func TestAnOwnerIsTheResourceItself(t *testing.T) {
	cr := &unstructured.Unstructured{}
	cr.SetGroupVersionKind(gw().GroupVersionKind)
	cr.SetNamespace("prod")
	cr.SetName("gw")
	cr.SetUID("uid-gw")
	assert.Equal(t, gw(), OwnerOf(cr))
	assert.Equal(t, metav1.OwnerReference{
		APIVersion: "example.test/v1", Kind: "Demo", Name: "gw", UID: "uid-gw",
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}, gw().Reference())
}

func TestObjectsCarryTheMarksThatKubernetesAllows(t *testing.T) {
	clusterWide := gw()
	clusterWide.Namespace = ""
	tests := map[string]struct {
		owner      Owner
		object     string
		namespaced bool
		reference  bool
	}{
		"in the owner's namespace": {gw(), "metadata: {name: x, namespace: prod}", true, true},
		"in another namespace":     {gw(), "metadata: {name: x, namespace: other}", true, false},
		"of the cluster":           {gw(), "metadata: {name: x}", false, false},
		"to be kept": {
			gw(), "metadata: {name: x, namespace: prod, annotations: {helm.sh/resource-policy: keep}}", true, false,
		},
		"of an owner that is of the cluster": {clusterWide, "metadata: {name: x, namespace: prod}", true, true},
		"with another policy": {
			gw(), "metadata: {name: x, namespace: prod, annotations: {helm.sh/resource-policy: other}}", true, true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := object(t, test.object)
			require.NoError(t, test.owner.Mark(u, test.namespaced))
			assert.Equal(t, "uid-gw", u.GetLabels()[inventory.OwnerUIDLabel])
			if test.reference {
				assert.Equal(t, []metav1.OwnerReference{test.owner.Reference()}, u.GetOwnerReferences())
				assert.NotContains(t, u.GetAnnotations(), ownerName)
				return
			}
			assert.Empty(t, u.GetOwnerReferences())
			assert.Equal(t, "prod/gw", u.GetAnnotations()[ownerName])
			assert.Equal(t, "Demo.example.test", u.GetAnnotations()[ownerType])
		})
	}
}

func TestMarkingKeepsWhatTheChartRendered(t *testing.T) {
	u := object(t, `metadata: {name: x, namespace: prod, labels: {app: gw}, annotations: {note: x},
		ownerReferences: [{apiVersion: v1, kind: Node, name: a-node, uid: uid-node}]}`)
	require.NoError(t, gw().Mark(u, true))
	assert.Equal(t, map[string]string{"app": "gw", inventory.OwnerUIDLabel: "uid-gw"}, u.GetLabels())
	assert.Equal(t, map[string]string{"note": "x"}, u.GetAnnotations())
	require.Len(t, u.GetOwnerReferences(), 2)
	assert.Equal(t, types.UID("uid-node"), u.GetOwnerReferences()[0].UID)
}

func TestWhoseAnObjectIs(t *testing.T) {
	controlledBy := func(uid types.UID) []metav1.OwnerReference {
		return []metav1.OwnerReference{{Kind: "Demo", Name: "x", UID: uid, Controller: ptr.To(true)}}
	}
	tests := map[string]struct {
		references []metav1.OwnerReference
		label      string
		want       ownership
	}{
		"nobody marked it":                             {nil, "", nobodys},
		"we control it":                                {controlledBy("uid-gw"), "uid-gw", ours},
		"we control it, the label was removed":         {controlledBy("uid-gw"), "", ours},
		"only the label is left":                       {nil, "uid-gw", ours},
		"another resource controls it":                 {controlledBy("uid-other"), "", foreign},
		"another resource controls it, with our label": {controlledBy("uid-other"), "uid-gw", foreign},
		"we control it, with another's label":          {controlledBy("uid-gw"), "uid-other", ours},
		"another resource's label":                     {nil, "uid-other", foreign},
		"an earlier resource of our name controls it":  {controlledBy("uid-earlier"), "uid-earlier", foreign},
		"somebody owns it without controlling it":      {[]metav1.OwnerReference{{UID: "uid-other"}}, "", nobodys},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{Object: map[string]any{}}
			u.SetOwnerReferences(test.references)
			if test.label != "" {
				labelled(test.label)(u)
			}
			assert.Equal(t, test.want, gw().ownershipOf(u))
		})
	}
}

func TestHelmsMarksAreUndone(t *testing.T) {
	for name, metadata := range map[string]string{
		"of an object without metadata": "{name: x}",
		"beside other metadata":         "{name: x, labels: {app: gw}, annotations: {note: x}}",
		"where the chart has such marks itself": `{name: x, labels: {app.kubernetes.io/managed-by: somebody, app: gw},
			annotations: {meta.helm.sh/release-name: mine, note: x}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			list := w.build("apiVersion: v1\nkind: ConfigMap\nmetadata: " + metadata)
			want := list[0].Object.DeepCopyObject().(*unstructured.Unstructured)
			asHelmDoes(t, list)
			got := w.unmarked(list[0]).Object.(*unstructured.Unstructured)
			requireSamePairs(t, want.GetLabels(), got.GetLabels())
			requireSamePairs(t, want.GetAnnotations(), got.GetAnnotations())
		})
	}
}

func TestRestoringUndoesExactlyWhatHelmWrote(t *testing.T) {
	key := rapid.SampledFrom([]string{"a", "app.kubernetes.io/managed-by", "meta.helm.sh/release-name", "meta.helm.sh/other", "b"})
	pairs := rapid.MapOfN(key, rapid.StringMatching("[a-z]{1,3}"), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		labels, annotations := pairs.Draw(t, "labels"), pairs.Draw(t, "annotations")
		u := &unstructured.Unstructured{Object: map[string]any{}}
		u.SetLabels(labels)
		u.SetAnnotations(annotations)
		before := marksOf(u)
		helmMarks(u)
		before.restore(u)
		requireSamePairs(t, labels, u.GetLabels())
		requireSamePairs(t, annotations, u.GetAnnotations())
	})
}

func requireSamePairs(t require.TestingT, want, got map[string]string) {
	if len(want) == 0 {
		require.Empty(t, got)
		return
	}
	require.Equal(t, want, got)
}

func TestChangesAreDescribedForPeople(t *testing.T) {
	change := func(verb Verb, name string, paths ...string) Change {
		return Change{Verb: verb, Ref: ref(configMap, name), Paths: paths}
	}
	tests := map[string]struct {
		changes []Change
		limit   int
		want    string
	}{
		"nothing":                    {nil, 5, ""},
		"only what did not change":   {[]Change{change(Unchanged, "a")}, 5, ""},
		"what happened to each":      {[]Change{change(Created, "a"), change(Unchanged, "b"), change(Deleted, "c")}, 5, "created ConfigMap a, deleted ConfigMap c"},
		"the fields":                 {[]Change{change(Changed, "a", "data.x", "data.y")}, 5, "changed ConfigMap a (data.x, data.y)"},
		"not too many fields":        {[]Change{change(Changed, "a", "1", "2", "3", "4", "5", "6", "7")}, 5, "changed ConfigMap a (1, 2, 3, 4, 5, and 2 more)"},
		"not too many objects":       {[]Change{change(Created, "a"), change(Created, "b"), change(Created, "c")}, 2, "created ConfigMap a, created ConfigMap b, and 1 more"},
		"as many objects as allowed": {[]Change{change(Created, "a"), change(Created, "b")}, 2, "created ConfigMap a, created ConfigMap b"},
		"what did not change does not count": {
			[]Change{change(Unchanged, "a"), change(Unchanged, "b"), change(Created, "c")}, 1, "created ConfigMap c",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, Describe(test.changes, test.limit))
		})
	}
}

func TestDescribingChangesNothing(t *testing.T) {
	paths := []string{"1", "2", "3", "4", "5", "6"}
	Describe([]Change{{Verb: Changed, Paths: paths}}, 5)
	assert.Equal(t, []string{"1", "2", "3", "4", "5", "6"}, paths)
}
