package program

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/restmapper"
)

func TestAKindInLowerCaseIsNotTakenForItsNamesake(t *testing.T) {
	const group, version = "example.com", "v1"
	resources := []metav1.APIResource{{Name: "apis", SingularName: "api", Kind: "API", Namespaced: true}}
	fresh := func() (meta.RESTMapper, error) {
		return restmapper.NewDiscoveryRESTMapper([]*restmapper.APIGroupResources{{
			Group:              metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{{GroupVersion: group + "/" + version, Version: version}}},
			VersionedResources: map[string][]metav1.APIResource{version: resources},
		}}), nil
	}
	first, err := fresh()
	require.NoError(t, err)
	lower := schema.GroupKind{Group: group, Kind: "api"}
	mistaken, err := first.RESTMapping(lower, version)
	require.NoError(t, err)
	require.Equal(t, "apis", mistaken.Resource.Resource, "what client-go does")

	m := &exactMapper{RESTMapper: first, fresh: fresh}
	_, err = m.RESTMapping(lower, version)
	assert.True(t, meta.IsNoMatchError(err), "%v", err)
	upper, err := m.RESTMapping(schema.GroupKind{Group: group, Kind: "API"}, version)
	require.NoError(t, err)
	assert.Equal(t, "apis", upper.Resource.Resource)

	resources = append(resources, metav1.APIResource{Name: "lowercaseapis", SingularName: "lowercaseapi", Kind: "api", Namespaced: true})
	found, err := m.RESTMapping(lower, version)
	require.NoError(t, err)
	assert.Equal(t, "lowercaseapis", found.Resource.Resource)
}
