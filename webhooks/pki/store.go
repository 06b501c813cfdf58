package pki

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/datapower-operator/datapower-operator/webhooks/named"
)

// Store reads and writes Secrets of one namespace.
type Store interface {
	// Get returns a Secret as it is in a cache or in the API server, nil when there is none. It is not to be changed.
	Get(ctx context.Context, name string) (*corev1.Secret, error)
	// Create makes a Secret.
	Create(ctx context.Context, secret *corev1.Secret) (*corev1.Secret, error)
	// Update writes a Secret, provided that it still has the resourceVersion that it carries.
	Update(ctx context.Context, secret *corev1.Secret) (*corev1.Secret, error)
	// Delete deletes a Secret, provided that it still has the UID and the resourceVersion that it carries.
	Delete(ctx context.Context, secret *corev1.Secret) error
}

// WatchedSecrets is a [Store] of a few Secrets, each of which it watches by name. It is a runnable of a manager that
// needs no leadership.
type WatchedSecrets struct {
	*named.Objects[*corev1.Secret]
	client corev1client.SecretInterface
}

var _ Store = (*WatchedSecrets)(nil)

// NewWatchedSecrets watches these Secrets of a namespace once it is started.
func NewWatchedSecrets(client corev1client.SecretsGetter, namespace string, names ...string) *WatchedSecrets {
	secrets := client.Secrets(namespace)
	return &WatchedSecrets{named.New[*corev1.Secret, *corev1.SecretList](secrets, &corev1.Secret{}, names...), secrets}
}

// errNotSynced says that the Secrets have not been looked for yet.
var errNotSynced = errors.New("the watch has not begun")

// Get implements [Store].
func (s *WatchedSecrets) Get(_ context.Context, name string) (*corev1.Secret, error) {
	if !s.Synced() {
		return nil, fmt.Errorf("reading Secret %s: %w", name, errNotSynced)
	}
	secret, _ := s.Objects.Get(name)
	return secret, nil
}

// Create implements [Store].
func (s *WatchedSecrets) Create(ctx context.Context, secret *corev1.Secret) (*corev1.Secret, error) {
	return s.client.Create(ctx, secret, metav1.CreateOptions{FieldManager: fieldManager})
}

// Update implements [Store].
func (s *WatchedSecrets) Update(ctx context.Context, secret *corev1.Secret) (*corev1.Secret, error) {
	return s.client.Update(ctx, secret, metav1.UpdateOptions{FieldManager: fieldManager})
}

// Delete implements [Store].
func (s *WatchedSecrets) Delete(ctx context.Context, secret *corev1.Secret) error {
	return s.client.Delete(ctx, secret.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion}})
}

// fieldManager owns what this package writes.
const fieldManager = "datapower-webhooks"

// errGone says that a Secret is not there any more.
var errGone = errors.New("it is gone")

// stale tells that a Secret is not any more, or not yet, as it was when it was looked at.
func stale(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || errors.Is(err, errGone)
}
