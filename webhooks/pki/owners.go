package pki

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WithOwners are the owners of an object that is to have the wanted ones: those of the same kind stay beside them. They are other
// versions of the operator, which an installation by the Operator Lifecycle Manager has for the time of an upgrade; the garbage
// collector takes an owner that is gone off, and deletes an object that has no other. One of the name of a wanted owner was its
// predecessor. The result is sorted by name; without wanted owners nothing changes.
func WithOwners(current, wanted []metav1.OwnerReference) []metav1.OwnerReference {
	if len(wanted) == 0 {
		return current
	}
	owners := slices.Clone(wanted)
	for _, other := range current {
		stays := slices.ContainsFunc(wanted, func(o metav1.OwnerReference) bool { return o.APIVersion == other.APIVersion && o.Kind == other.Kind })
		replaced := slices.ContainsFunc(owners, func(o metav1.OwnerReference) bool { return o.Name == other.Name })
		if stays && !replaced {
			owners = append(owners, other)
		}
	}
	slices.SortFunc(owners, func(a, b metav1.OwnerReference) int { return strings.Compare(a.Name, b.Name) })
	return owners
}

// Claim adds the owners to those of the Secrets that there are. A conflict is an error: the Secret is to be looked at again.
func Claim(ctx context.Context, secrets Store, names []string, owners []metav1.OwnerReference) error {
	for _, name := range names {
		secret, err := secrets.Get(ctx, name)
		if err != nil {
			return fmt.Errorf("reading Secret %s: %w", name, err)
		}
		if secret == nil {
			continue
		}
		claimed := secret.DeepCopy()
		claimed.OwnerReferences = WithOwners(secret.OwnerReferences, owners)
		if equality.Semantic.DeepEqual(secret.OwnerReferences, claimed.OwnerReferences) {
			continue
		}
		if _, err := secrets.Update(ctx, claimed); err != nil {
			return fmt.Errorf("adding an owner to Secret %s: %w", name, err)
		}
	}
	return nil
}
