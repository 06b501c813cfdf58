package conversion_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/webhooks/conversionruntime"
)

// restricted is a kubeconfig of somebody who may do anything, but delete only in one namespace.
func (w *world) restricted(namespace string) string {
	w.Helper()
	const user = "restricted"
	config, err := clientcmd.LoadFromFile(w.cluster.KubeconfigPath())
	require.NoError(w, err)
	for _, login := range config.AuthInfos {
		login.Impersonate = user
	}
	path := filepath.Join(w.TempDir(), "kubeconfig")
	require.NoError(w, clientcmd.WriteToFile(*config, path))

	all := []string{rbacv1.ResourceAll}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	for _, object := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
			{APIGroups: all, Resources: all, Verbs: []string{"get", "list", "watch", "create", "update", "patch", "escalate", "bind"}},
		}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		},
	} {
		require.NoError(w, w.client.Create(w.Context(), object))
	}
	return path
}

func TestWhatMayNotBeDeletedIsNamedInAnEventWithTheCommand(t *testing.T) {
	w := newWorld(t, cluster.Options{})
	for _, name := range []string{"operators-a", "operators-b", gateways} {
		w.namespace(name)
	}
	first := w.operatorDeployment("operators-a")
	w.install(nil)
	a := w.sidecar("operators-a", "--conversion=both")
	w.eventually("the definition leads to the webhook", func() bool {
		c := w.crd().Spec.Conversion
		return c != nil && c.Strategy == apiextensionsv1.WebhookConverter && w.managed("operators-a")
	})
	w.makeOld(gateways, "old")
	a.end(syscall.SIGKILL)
	require.NoError(t, w.client.Delete(w.Context(), first))

	w.operatorDeployment("operators-b")
	b := w.on(t)
	b.kubeconfig = w.restricted("operators-b")
	b.sidecar("operators-b", "--conversion=both")
	w.eventually("b takes the webhook over", func() bool { return w.managed("operators-b") })
	w.eventually("conversion works", func() bool { return w.converts(gateways, "old") })
	w.eventually("events name what is left and how to delete it", func() bool {
		told := map[string]bool{}
		found := &eventsv1.EventList{}
		require.NoError(t, w.client.List(w.Context(), found, client.InNamespace("operators-b")))
		for _, e := range found.Items {
			if e.Reason == "Forbidden" && e.Type == "Warning" && e.Regarding.Name == conversionruntime.Name {
				_, command, _ := strings.Cut(e.Note, "Delete it: ")
				told[command] = true
			}
		}
		return told["kubectl delete -n operators-a deployment/"+conversionruntime.Name] &&
			told["kubectl delete -n operators-a secret/"+conversionruntime.SecretName] &&
			told["kubectl delete -n operators-a service/"+conversionruntime.Name]
	})
	assert.True(t, w.managed("operators-a"), "it is still there")
}
