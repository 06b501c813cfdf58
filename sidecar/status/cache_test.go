package status

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/sidecar/status/statustest"
)

func TestCachesHoldOnlyObjectsOfServices(t *testing.T) {
	options, err := CacheOptions()
	require.NoError(t, err)
	for object, byObject := range options {
		switch object.(type) {
		case *appsv1.StatefulSet, *corev1.Pod:
			assert.True(t, byObject.Label.Matches(labels.Set{datapower.ServiceLabel: "gw", datapower.ManagedByLabel: "somebody else"}))
			assert.False(t, byObject.Label.Matches(labels.Set{datapower.ManagedByLabel: datapower.OperatorName}))
		case *corev1.Secret:
			assert.True(t, byObject.Field.Matches(fields.Set{"type": "Opaque"}))
			assert.False(t, byObject.Field.Matches(fields.Set{"type": "helm.sh/release.v1"}))
		}
	}
}

// TestWhatTheCachesDropDoesNotMatter computes from what is left in the caches.
func TestWhatTheCachesDropDoesNotMatter(t *testing.T) {
	in := healthy(t, withPod(0, statustest.Waiting("ErrImagePull", "not found")), withPod(1, statustest.NotScheduled("Unschedulable", "full")))
	want := Compute(in)

	_, err := slimStatefulSet(in.StatefulSet)
	require.NoError(t, err)
	for i := range in.Pods {
		_, err := slimPod(&in.Pods[i])
		require.NoError(t, err)
		assert.Empty(t, in.Pods[i].Spec.Containers, "specs are dropped")
	}

	assert.Equal(t, want, Compute(in))
}

func TestOfSecretsOnlyTheIdentityIsKept(t *testing.T) {
	metadata := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "n", Namespace: "ns", UID: "u", ResourceVersion: "7",
		Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "hunter2"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
	}}
	got, err := identityOnly(metadata)
	require.NoError(t, err)
	assert.Equal(t, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "n", Namespace: "ns", UID: "u", ResourceVersion: "7",
	}}, got)
}
