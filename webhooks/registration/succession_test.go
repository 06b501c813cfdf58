package registration_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/datapower-operator/datapower-operator/webhooks/registration"
)

func role(name string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: name}
}

// next is the succession of the version "second", in an operator whose version "first" leads.
func (r *rig) next(t *testing.T) (*registration.Succession, func() []metav1.OwnerReference) {
	t.Helper()
	first := []metav1.OwnerReference{role("first")}
	configurations, secrets := r.api.AdmissionregistrationV1().MutatingWebhookConfigurations(), r.api.CoreV1().Secrets("ops")
	name := registration.DefaulterNames("ops")[0]
	_, err := configurations.Create(t.Context(), &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: first}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "ca", Namespace: "ops", OwnerReferences: first}}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, seen := r.Secrets.Objects.Get("ca")
		return seen && r.Configurations.Known(name)
	}, 90*time.Second, 5*time.Millisecond)
	succession := &registration.Succession{
		Configurations: r.Configurations, Secrets: r.Secrets, SecretNames: []string{"leaf", "ca"}, Log: logr.Discard(),
		Owners: func(context.Context) ([]metav1.OwnerReference, error) {
			return []metav1.OwnerReference{role("second")}, r.owners
		},
	}
	return succession, func() []metav1.OwnerReference {
		configuration, err := configurations.Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		secret, err := secrets.Get(t.Context(), "ca", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, configuration.OwnerReferences, secret.OwnerReferences)
		return secret.OwnerReferences
	}
}

func TestTheNextVersionOwnsWhatIsRegisteredBeforeItIsReady(t *testing.T) {
	r := newRig(t)
	succession, owners := r.next(t)
	assert.False(t, succession.NeedLeaderElection())
	require.ErrorIs(t, succession.Check(nil), registration.ErrNotOwner)
	require.NoError(t, succession.Start(t.Context()))
	require.NoError(t, succession.Check(nil))
	assert.Equal(t, 2, r.writes(), "one to make it, one to claim it")
	assert.Equal(t, []metav1.OwnerReference{role("first"), role("second")}, owners(), "the last version is not pushed out")
}

func TestAVersionThatFindsNoOwnerIsNotReady(t *testing.T) {
	r := newRig(t)
	succession, owners := r.next(t)
	r.owners = assert.AnError
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.NoError(t, succession.Start(ctx))
	require.ErrorIs(t, succession.Check(nil), registration.ErrNotOwner)
	assert.Equal(t, []metav1.OwnerReference{role("first")}, owners())
}

func TestAClaimThatComesTooLateIsMadeAgain(t *testing.T) {
	r := newRig(t)
	succession, owners := r.next(t)
	conflicts := 0
	for _, resource := range []string{"secrets", "mutatingwebhookconfigurations"} {
		refused := false
		r.api.PrependReactor("update", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			if refused {
				return false, nil, nil
			}
			refused = true
			conflicts++
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: resource}, "it", assert.AnError)
		})
	}
	require.NoError(t, succession.Start(t.Context()))
	assert.Equal(t, 2, conflicts)
	assert.Equal(t, []metav1.OwnerReference{role("first"), role("second")}, owners())
}
