package program

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// awaitInterval is the time between two looks for a kind.
const awaitInterval = 2 * time.Second

// AwaitKinds returns when the API server serves all the kinds, and says which one it waits for. A manager cannot be made
// before: it fails for kinds that are not served. It fails when ctx ends or the API server cannot be asked at all.
func AwaitKinds(ctx context.Context, name string, opts *Options, kinds ...schema.GroupVersionKind) error {
	cfg, err := opts.restConfig(name)
	if err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(rest.CopyConfig(cfg))
	if err != nil {
		return fmt.Errorf("making a client that looks for kinds: %w", err)
	}
	for _, kind := range kinds {
		told := false
		err := wait.PollUntilContextCancel(ctx, awaitInterval, true, func(context.Context) (bool, error) {
			served, err := client.ServerResourcesForGroupVersion(kind.GroupVersion().String())
			if err == nil && slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind.Kind }) {
				return true, nil
			}
			if !told {
				told = true
				opts.namedLogger(name).Info("waiting for the definition of a kind: install it, for example with kubectl apply -k config/crd",
					"kind", kind.GroupKind().String(), "version", kind.Version)
			}
			return false, nil
		})
		if err != nil {
			return fmt.Errorf("waiting for the kind %s: %w", kind.GroupKind(), err)
		}
	}
	return nil
}
