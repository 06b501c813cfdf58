package exposure

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// podsAtOnce is how many pods are listed at a time.
const podsAtOnce = 500

var podResource = corev1.SchemeGroupVersion.WithResource("pods")

func (r *reconciler) pod(ctx context.Context, n name) error {
	p, due := r.world.due(n)
	if p == nil || p.annotated(due) {
		return nil
	}
	err := annotate(ctx, r.writer, n, p.uid, due)
	r.metrics.wrote(writtenPod, err)
	return err
}

// annotate applies exactly the annotations that are due to a pod that exists. As upstream, it overrides those of others.
func annotate(ctx context.Context, writer dynamic.Interface, n name, uid types.UID, due map[string]string) error {
	described := map[string]any{"namespace": n.Namespace, "name": n.Name, "uid": uid}
	if len(due) > 0 {
		described["annotations"] = due
	}
	patch, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": described})
	if err != nil {
		return fmt.Errorf("encoding the annotations of pod %s: %w", n, err)
	}
	force := true
	_, err = writer.Resource(podResource).Namespace(n.Namespace).
		Patch(ctx, n.Name, types.ApplyPatchType, patch, metav1.PatchOptions{FieldManager: oda.FieldManagerPods, Force: &force})
	if err != nil {
		return fmt.Errorf("annotating pod %s: %w", n, err)
	}
	return nil
}

// sweepPods takes the annotations of this package off the pods in the namespaces, or in all when there are none named: an
// operator with other settings, which ran before, may have put them there. Nothing else would ever see them.
func sweepPods(ctx context.Context, pods metadata.Interface, writer dynamic.Interface, namespaces []string) error {
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		options := metav1.ListOptions{Limit: podsAtOnce}
		for {
			list, err := pods.Resource(podResource).Namespace(namespace).List(ctx, options)
			if err != nil {
				return fmt.Errorf("listing pods: %w", err)
			}
			for i := range list.Items {
				if err := sweepPod(ctx, writer, &list.Items[i]); err != nil {
					return err
				}
			}
			if options.Continue = list.Continue; options.Continue == "" {
				break
			}
		}
	}
	return nil
}

func sweepPod(ctx context.Context, writer dynamic.Interface, p *metav1.PartialObjectMetadata) error {
	if len(ownedAnnotations(p.ManagedFields)) == 0 {
		return nil
	}
	err := annotate(ctx, writer, nameOf(p), p.UID, nil)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // it is gone
		return nil
	}
	return err
}
