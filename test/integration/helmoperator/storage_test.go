package helmoperator_test

import (
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rewriteStatus leaves the newest revision of a release as a killed process would.
func (s *scenario) rewriteStatus(name, status string) {
	s.Helper()
	cs, err := kubernetes.NewForConfig(apiServer)
	require.NoError(s, err)
	store := storage.Init(driver.NewSecrets(cs.CoreV1().Secrets(s.namespace)))
	rel, err := store.Last(name)
	require.NoError(s, err)
	rel.Info.Status = helmrelease.Status(status)
	require.NoError(s, store.Update(rel))
}

// annotate makes the operator reconcile without any change that matters.
func (s *scenario) annotate(name, value string) {
	s.Helper()
	u := s.get(demoKind, name)
	before := u.DeepCopy()
	u.SetAnnotations(map[string]string{"example.test/touched": value})
	require.NoError(s, kube.Patch(s.ctx, u, client.MergeFrom(before)))
}
