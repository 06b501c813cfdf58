package oracle_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// observation is how long an operator is watched before it counts as doing nothing wrong.
const observation = 3 * time.Second

// scene is one situation that one reconciler is put into, in a namespace of its own.
type scene struct {
	*testing.T
	*variant
	ctx       context.Context
	namespace string
}

// both puts each reconciler into the situation.
func both(t *testing.T, situation func(s *scene)) {
	t.Helper()
	if kube == nil {
		t.Skipf("needs the API server's programs: set %s (make test does)", assets)
	}
	t.Run("side by side", func(t *testing.T) { // returns when both have ended
		for _, v := range []*variant{ours, theirs} {
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				situation(newScene(t, v))
			})
		}
	})
}

func newScene(t *testing.T, v *variant) *scene {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel) // after what the scene cleans up
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: v.name + "-"}}
	require.NoError(t, kube.Create(ctx, ns))
	return &scene{T: t, variant: v, ctx: ctx, namespace: ns.Name}
}

// pick is what is expected of this reconciler.
func pick[T any](s *scene, ofOurs, ofStock T) T {
	if s.variant == ours {
		return ofOurs
	}
	return ofStock
}

func (s *scene) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: s.namespace, Name: name}
}

// create makes a custom resource. Its spec is never missing: that the stock reconciler can't
// reconcile.
func (s *scene) create(kind, name string, spec map[string]any, labels ...string) {
	s.Helper()
	if spec == nil {
		spec = map[string]any{}
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetGroupVersionKind(s.kind(kind))
	u.SetNamespace(s.namespace)
	u.SetName(name)
	for _, label := range labels {
		u.SetLabels(map[string]string{label: "true"})
	}
	require.NoError(s, kube.Create(s.ctx, u))
	s.Cleanup(func() { s.remove(kind, name) })
}

// remove deletes a custom resource, so that the operator has done with it before the next test begins.
func (s *scene) remove(kind, name string) {
	s.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(s.kind(kind))
	u.SetNamespace(s.namespace)
	u.SetName(name)
	if kube.Delete(s.ctx, u) == nil {
		s.eventually(kind+" "+name+" is gone", func() bool { return !s.exists(s.kind(kind), name) })
	}
}

func (s *scene) get(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	s.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	require.NoError(s, kube.Get(s.ctx, s.key(name), u))
	return u
}

func (s *scene) exists(kind schema.GroupVersionKind, name string) bool {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	return kube.Get(s.ctx, s.key(name), u) == nil
}

// patch merges a JSON text into an object, as kubectl patch would.
func (s *scene) patch(kind schema.GroupVersionKind, name, patch string) {
	s.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	u.SetNamespace(s.namespace)
	u.SetName(name)
	require.NoError(s, kube.Patch(s.ctx, u, client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner("kubectl-patch")))
}

// touch makes the operator look at a custom resource.
func (s *scene) touch(kind, name string) {
	s.Helper()
	s.patch(s.kind(kind), name, `{"metadata":{"annotations":{"touched":"`+time.Now().Format(time.RFC3339Nano)+`"}}}`)
}

// eventually waits until check holds.
func (s *scene) eventually(what string, check func() bool) {
	s.Helper()
	for deadline := time.Now().Add(20 * time.Second); !check(); time.Sleep(20 * time.Millisecond) {
		require.True(s, time.Now().Before(deadline), "never: %s", what)
	}
}

func (s *scene) condition(kind, name, conditionType string) string {
	s.Helper()
	list, _, err := unstructured.NestedSlice(s.get(s.kind(kind), name).Object, "status", "conditions")
	require.NoError(s, err)
	for _, c := range list {
		if c, ok := c.(map[string]any); ok && c["type"] == conditionType {
			status, _ := c["status"].(string)
			return status
		}
	}
	return ""
}

func (s *scene) deployed(kind, name string) {
	s.Helper()
	s.eventually(kind+" "+name+" is deployed", func() bool { return s.condition(kind, name, "Deployed") == "True" })
}

// whileHeld does something while no request of the operator gets through.
func (s *scene) whileHeld(do func()) {
	s.Helper()
	s.gate.Lock()
	defer s.gate.Unlock()
	do()
}

// settle waits until the operator asks nothing for a while.
func (s *scene) settle() {
	s.Helper()
	last, since := s.requests.Load(), time.Now()
	s.eventually("the operator is idle", func() bool {
		if n := s.requests.Load(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 700*time.Millisecond
	})
}

// revisions lists the stored revisions of a release, newest last, by what Helm tells of them.
func (s *scene) revisions(name string) (out []*helmrelease.Release) {
	s.Helper()
	out, err := s.storage().Query(map[string]string{"owner": "helm", "name": name})
	if err != nil {
		require.ErrorIs(s, err, driver.ErrReleaseNotFound)
	}
	return out
}

// newest is the highest revision that was ever made of a release.
func (s *scene) newest(name string) (version int, status string) {
	s.Helper()
	for _, r := range s.revisions(name) {
		if r.Version > version {
			version, status = r.Version, r.Info.Status.String()
		}
	}
	return version, status
}

func (s *scene) storage() *driver.Secrets {
	s.Helper()
	core, err := clientcorev1.NewForConfig(apiServer)
	require.NoError(s, err)
	return driver.NewSecrets(core.Secrets(s.namespace))
}

// tamper rewrites the newest revision of a release, as a process that died would have left it.
func (s *scene) tamper(name string, change func(r *helmrelease.Release)) {
	s.Helper()
	var newest *helmrelease.Release
	for _, r := range s.revisions(name) {
		if newest == nil || r.Version > newest.Version {
			newest = r
		}
	}
	require.NotNil(s, newest)
	key := "sh.helm.release.v1." + name + ".v" + strconv.Itoa(newest.Version)
	secret := &corev1.Secret{}
	require.NoError(s, kube.Get(s.ctx, s.key(key), secret))
	owners, labels := secret.OwnerReferences, secret.Labels
	change(newest)
	require.NoError(s, s.storage().Update(key, newest))
	// Helm's driver keeps neither the owner nor foreign labels.
	require.NoError(s, kube.Get(s.ctx, s.key(key), secret))
	before := secret.DeepCopy()
	secret.OwnerReferences = owners
	for k, v := range labels {
		if _, ok := secret.Labels[k]; !ok {
			secret.Labels[k] = v
		}
	}
	require.NoError(s, kube.Patch(s.ctx, secret, client.MergeFrom(before)))
}
