package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestTheOwnerOfTheWebhookConfigurations(t *testing.T) {
	role := func(name, version, namespace string) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "x", Labels: map[string]string{
			olmOwner: version, olmOwnerNamespace: namespace, olmOwnerKind: "ClusterServiceVersion",
		}}}
	}
	clients := fake.NewClientset(
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "datapower-system.datapower-operator", UID: "1"}},
		role("datapower-operator.v1-zz", "datapower-operator.v1", "operators"), role("datapower-operator.v1-bb", "datapower-operator.v1", "operators"),
		role("datapower-operator.v1-aa", "datapower-operator.v1", "elsewhere"), role("datapower-operator.v0-aa", "datapower-operator.v0", "operators"),
	)
	for name, c := range map[string]struct {
		environment map[string]string
		owner       string
		fails       bool
	}{
		"nobody is told of":                              {owner: ""},
		"the ClusterRole that is named":                  {environment: map[string]string{clusterRoleVariable: "datapower-system.datapower-operator"}, owner: "datapower-system.datapower-operator"},
		"a ClusterRole that is gone":                     {environment: map[string]string{clusterRoleVariable: "gone"}, fails: true},
		"the ClusterRole that OLM made for this version": {environment: map[string]string{versionVariable: "datapower-operator.v1"}, owner: "datapower-operator.v1-bb"},
		"a version that OLM has uninstalled":             {environment: map[string]string{versionVariable: "datapower-operator.v2"}, fails: true},
		"a name that is given wins": {environment: map[string]string{
			clusterRoleVariable: "datapower-system.datapower-operator", versionVariable: "datapower-operator.v1",
		}, owner: "datapower-system.datapower-operator"},
	} {
		t.Run(name, func(t *testing.T) {
			var settings ownerSettings
			settings.readEnvironment(func(key string) string { return c.environment[key] })
			owners, err := settings.reader(clients, "operators")(t.Context())
			if c.fails {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			var names []string
			for _, owner := range owners {
				names = append(names, owner.Name)
			}
			if c.owner == "" {
				assert.Empty(t, names)
				return
			}
			assert.Equal(t, []string{c.owner}, names)
		})
	}
}
