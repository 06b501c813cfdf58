package orphans

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

var (
	configMap   = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	clusterRole = schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}
)

// kinds answers discovery.
type kinds struct {
	discovery.ServerResourcesInterface
	err error
}

func (k kinds) ServerPreferredResources() ([]*metav1.APIResourceList, error) {
	all := []string{"get", "list", "delete"}
	return []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: all},
			{Name: "configmaps/status", Kind: "ConfigMap", Namespaced: true, Verbs: all},
			{Name: "bindings", Kind: "Binding", Namespaced: true, Verbs: []string{"create"}},
			{Name: "componentstatuses", Kind: "ComponentStatus", Verbs: []string{"get", "list"}},
		}},
		{GroupVersion: "rbac.authorization.k8s.io/v1", APIResources: []metav1.APIResource{
			{Name: "clusterroles", Kind: "ClusterRole", Verbs: all},
		}},
	}, k.err
}

func object(gvk schema.GroupVersionKind, namespace, name, owner string) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	o.SetGroupVersionKind(gvk)
	if owner != "" {
		o.Labels = map[string]string{inventory.OwnerUIDLabel: owner}
	}
	return o
}

func cluster(t *testing.T) *fake.FakeMetadataClient {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	collected := object(configMap, "prod", "collected", "uid-gw")
	collected.OwnerReferences = []metav1.OwnerReference{{UID: "uid-gw"}}
	return fake.NewSimpleMetadataClient(scheme, collected,
		object(configMap, "elsewhere", "left", "uid-gw"), object(configMap, "elsewhere", "another's", "uid-other"),
		object(configMap, "elsewhere", "nobody's", ""), object(clusterRole, "", "left", "uid-gw"))
}

var left = []inventory.Ref{
	{GroupVersionKind: configMap, Namespace: "elsewhere", Name: "left"}, {GroupVersionKind: clusterRole, Name: "left"},
}

func TestWhatNobodyCollectsIsFound(t *testing.T) {
	refs, err := find(context.Background(), kinds{}, cluster(t), "uid-gw")
	require.NoError(t, err)
	assert.Equal(t, left, refs)
}

func TestAnAggregatedAPIThatIsDownKeepsNobody(t *testing.T) {
	down := &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{{Group: "metrics.k8s.io", Version: "v1"}: errors.New("down")}}
	refs, err := find(context.Background(), kinds{err: down}, cluster(t), "uid-gw")
	require.NoError(t, err)
	assert.Equal(t, left, refs)

	cause := errors.New("no connection")
	_, err = find(context.Background(), kinds{err: cause}, cluster(t), "uid-gw")
	assert.ErrorIs(t, err, cause)
}

func TestAKindThatMayNotBeListedIsPassedOver(t *testing.T) {
	resource := schema.GroupResource{Resource: "configmaps"}
	for name, test := range map[string]struct {
		err   error
		fatal bool
	}{
		"forbidden":     {apierrors.NewForbidden(resource, "", nil), false},
		"gone":          {apierrors.NewNotFound(resource, ""), false},
		"no such verb":  {apierrors.NewMethodNotSupported(resource, "list"), false},
		"no connection": {errors.New("no connection"), true},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t)
			c.PrependReactor("list", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, test.err })
			refs, err := find(context.Background(), kinds{}, c, "uid-gw")
			if test.fatal {
				require.ErrorIs(t, err, test.err)
				assert.ErrorContains(t, err, "look for ConfigMap")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, left[1:], refs)
		})
	}
}

func TestAManifestNamesItsObjects(t *testing.T) {
	text, err := Manifest(left)
	require.NoError(t, err)
	objects, err := inventory.Parse(text)
	require.NoError(t, err)
	require.Len(t, objects, 2)
	for i, u := range objects {
		assert.Equal(t, left[i], inventory.RefOf(u, left[i].Namespace != "", "prod"))
	}
}
