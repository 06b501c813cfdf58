package olm_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
)

// stays are resources in which something of the operator stays: events of the past, what OLM keeps, and the Leases, which nobody is
// left to delete (docs/install.md).
var stays = []string{
	"events", "events.events.k8s.io", "operators.operators.coreos.com", "packagemanifests.packages.operators.coreos.com", "leases.coordination.k8s.io",
}

// nothingLeft waits until neither the cluster nor the namespaces have anything of the operator.
func (w *world) nothingLeft(namespaces ...string) {
	w.Helper()
	w.Eventually("nothing of the operator is left", func() error {
		var left []string
		for _, namespace := range namespaces {
			left = append(left, w.leftovers(namespace)...)
		}
		if len(left) > 0 {
			return fmt.Errorf("there are %s", strings.Join(left, ", "))
		}
		return nil
	})
}

// leftovers are the objects of the cluster and of a namespace that bear a name of the operator.
func (w *world) leftovers(namespace string) []string {
	w.Helper()
	discover, err := discovery.NewDiscoveryClientForConfig(w.config)
	require.NoError(w, err)
	reader, err := metadata.NewForConfig(w.config)
	require.NoError(w, err)
	lists, err := discover.ServerPreferredResources()
	require.NoError(w, err)
	var left []string
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(w, err)
		for _, resource := range list.APIResources {
			kind := group.WithResource(resource.Name)
			if !slices.Contains(resource.Verbs, "list") || slices.Contains(stays, kind.GroupResource().String()) {
				continue
			}
			in := ""
			if resource.Namespaced {
				in = namespace
			}
			found, err := reader.Resource(kind).Namespace(in).List(w.Context(), metav1.ListOptions{})
			require.NoError(w, err, "%s", kind)
			for _, object := range found.Items {
				if strings.Contains(object.Name, "datapower") || strings.Contains(object.Name, "dpop-") {
					left = append(left, fmt.Sprintf("%s %s/%s", kind.GroupResource(), object.Namespace, object.Name))
				}
			}
		}
	}
	return left
}
