package registration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientv1 "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"

	"github.com/datapower-operator/datapower-operator/webhooks/named"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// fieldManager owns what this package writes.
const fieldManager = "datapower-webhooks"

// Configurations are the webhook configurations of one operator as a watch shows them, and the way to write them.
type Configurations struct {
	namespace  string
	mutating   *typed[*admissionv1.MutatingWebhookConfiguration]
	validating *typed[*admissionv1.ValidatingWebhookConfiguration]
}

// NewConfigurations are those of the operator in a namespace. They are watched once Start is called.
func NewConfigurations(client clientv1.AdmissionregistrationV1Interface, namespace string) *Configurations {
	mutating, validating := client.MutatingWebhookConfigurations(), client.ValidatingWebhookConfigurations()
	return &Configurations{
		namespace: namespace,
		mutating: &typed[*admissionv1.MutatingWebhookConfiguration]{
			Objects: named.New[*admissionv1.MutatingWebhookConfiguration, *admissionv1.MutatingWebhookConfigurationList](
				mutating, &admissionv1.MutatingWebhookConfiguration{}, DefaulterNames(namespace)...),
			writer: mutating,
		},
		validating: &typed[*admissionv1.ValidatingWebhookConfiguration]{
			Objects: named.New[*admissionv1.ValidatingWebhookConfiguration, *admissionv1.ValidatingWebhookConfigurationList](
				validating, &admissionv1.ValidatingWebhookConfiguration{}, ValidatorNames(namespace)...),
			writer: validating,
		},
	}
}

// NeedLeaderElection says that every replica watches: each must know what the API server trusts.
func (c *Configurations) NeedLeaderElection() bool { return false }

// Start watches until ctx ends.
func (c *Configurations) Start(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- c.mutating.Start(ctx) }()
	err := c.validating.Start(ctx)
	return errors.Join(err, <-ended)
}

// Synced tells whether every configuration was looked for.
func (c *Configurations) Synced() bool { return c.mutating.Synced() && c.validating.Synced() }

// OnChange calls changed after each change of a configuration.
func (c *Configurations) OnChange(changed func()) error {
	return errors.Join(
		c.mutating.OnChange(func(string, *admissionv1.MutatingWebhookConfiguration) { changed() }),
		c.validating.OnChange(func(string, *admissionv1.ValidatingWebhookConfiguration) { changed() }),
	)
}

// Bundles are the bundles of the operator's own entries: one for each configuration, nil where the configuration or
// the entry is missing.
func (c *Configurations) Bundles(namespace string) [][]byte {
	var bundles [][]byte
	for _, name := range DefaulterNames(namespace) {
		var bundle []byte
		if configuration, exists := c.mutating.Get(name); exists && len(configuration.Webhooks) == 1 {
			bundle = configuration.Webhooks[0].ClientConfig.CABundle
		}
		bundles = append(bundles, bundle)
	}
	for _, name := range ValidatorNames(namespace) {
		var bundle []byte
		if configuration, exists := c.validating.Get(name); exists && len(configuration.Webhooks) == 1 {
			bundle = configuration.Webhooks[0].ClientConfig.CABundle
		}
		bundles = append(bundles, bundle)
	}
	return bundles
}

// published is the bundle that all configurations have, nil when they differ.
func published(bundles [][]byte) []byte {
	for _, bundle := range bundles {
		if len(bundle) == 0 || !bytes.Equal(bundle, bundles[0]) {
			return nil
		}
	}
	if len(bundles) == 0 {
		return nil
	}
	return bundles[0]
}

// claim adds the owners to those of the configurations that there are. A conflict is an error: the configuration is to be looked at
// again.
func (c *Configurations) claim(ctx context.Context, owners []metav1.OwnerReference) error {
	var problems []error
	for _, name := range DefaulterNames(c.namespace) {
		problems = append(problems, c.mutating.claim(ctx, name, owners))
	}
	for _, name := range ValidatorNames(c.namespace) {
		problems = append(problems, c.validating.claim(ctx, name, owners))
	}
	return errors.Join(problems...)
}

// wrong are the names of the configurations that are not as desired, and missing ones.
func (c *Configurations) wrong(mutating []admissionv1.MutatingWebhookConfiguration, validating []admissionv1.ValidatingWebhookConfiguration) []string {
	var names []string
	for i := range mutating {
		if _, right := c.mutating.repaired(&mutating[i], repairMutating); !right {
			names = append(names, mutating[i].Name)
		}
	}
	for i := range validating {
		if _, right := c.validating.repaired(&validating[i], repairValidating); !right {
			names = append(names, validating[i].Name)
		}
	}
	return names
}

// write creates and repairs what is not as desired; it returns the names of what it wrote.
func (c *Configurations) write(ctx context.Context, mutating []admissionv1.MutatingWebhookConfiguration, validating []admissionv1.ValidatingWebhookConfiguration) ([]string, error) {
	var wrote []string
	var problems []error
	note := func(name string, written bool, err error) {
		problems = append(problems, err)
		if written {
			wrote = append(wrote, name)
		}
	}
	for i := range mutating {
		written, err := c.mutating.write(ctx, &mutating[i], repairMutating)
		note(mutating[i].Name, written, err)
	}
	for i := range validating {
		written, err := c.validating.write(ctx, &validating[i], repairValidating)
		note(validating[i].Name, written, err)
	}
	return wrote, errors.Join(problems...)
}

// repairMutating makes current what is desired; labels and annotations of others stay.
func repairMutating(current, desired *admissionv1.MutatingWebhookConfiguration) {
	repairMeta(&current.ObjectMeta, &desired.ObjectMeta)
	current.Webhooks = desired.Webhooks
}

func repairValidating(current, desired *admissionv1.ValidatingWebhookConfiguration) {
	repairMeta(&current.ObjectMeta, &desired.ObjectMeta)
	current.Webhooks = desired.Webhooks
}

func repairMeta(current, desired *metav1.ObjectMeta) {
	if current.Labels == nil {
		current.Labels = map[string]string{}
	}
	maps.Copy(current.Labels, desired.Labels)
	current.OwnerReferences = pki.WithOwners(current.OwnerReferences, desired.OwnerReferences)
}

// object is a pointer to a webhook configuration.
type object[T any] interface {
	metav1.Object
	runtime.Object
	DeepCopy() T
}

// writer is a typed client of client-go.
type writer[T any] interface {
	Create(ctx context.Context, object T, options metav1.CreateOptions) (T, error)
	Update(ctx context.Context, object T, options metav1.UpdateOptions) (T, error)
}

// typed are the configurations of one kind.
type typed[T object[T]] struct {
	*named.Objects[T]
	writer writer[T]
}

// repaired is the configuration as it should be written. right means that it is as it should be. The zero T means that
// there is none.
func (t *typed[T]) repaired(desired T, repair func(current, desired T)) (repaired T, right bool) {
	var none T
	current, exists := t.Get(desired.GetName())
	if !exists {
		return none, false
	}
	repaired = current.DeepCopy()
	repair(repaired, desired)
	return repaired, equality.Semantic.DeepEqual(current, repaired)
}

func (t *typed[T]) claim(ctx context.Context, name string, owners []metav1.OwnerReference) error {
	current, exists := t.Get(name)
	if !exists {
		return nil
	}
	claimed := current.DeepCopy()
	claimed.SetOwnerReferences(pki.WithOwners(current.GetOwnerReferences(), owners))
	if equality.Semantic.DeepEqual(current, claimed) {
		return nil
	}
	if _, err := t.writer.Update(ctx, claimed, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("adding an owner to %s: %w", name, err)
	}
	return nil
}

// write reports whether it wrote. A configuration that has changed since it was looked at is left: its change is told.
func (t *typed[T]) write(ctx context.Context, desired T, repair func(current, desired T)) (bool, error) {
	repaired, right := t.repaired(desired, repair)
	if right {
		return false, nil
	}
	var err error
	if _, exists := t.Get(desired.GetName()); exists {
		_, err = t.writer.Update(ctx, repaired, metav1.UpdateOptions{FieldManager: fieldManager})
	} else {
		_, err = t.writer.Create(ctx, desired, metav1.CreateOptions{FieldManager: fieldManager})
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("writing %s: %w", desired.GetName(), err)
	}
	return true, nil
}
