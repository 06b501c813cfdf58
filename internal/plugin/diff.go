// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"io"
	"maps"

	"github.com/pmezard/go-difflib/difflib"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

// writeDiffs prints for each object what applying it as the operator does would change, told by the API server in a dry
// run, and nothing for objects that stay as they are.
func writeDiffs(ctx context.Context, c Clients, cr *unstructured.Unstructured, objects []*unstructured.Unstructured, out io.Writer) error {
	changed := 0
	for _, wanted := range objects {
		text, err := diffOf(ctx, c, cr.GetNamespace(), wanted)
		if err != nil {
			return fmt.Errorf("compare %s %s: %w", wanted.GetKind(), wanted.GetName(), err)
		}
		if text != "" {
			changed++
			fmt.Fprint(out, text)
		}
	}
	if changed == 0 {
		fmt.Fprintln(out, "No differences.")
	}
	return nil
}

func diffOf(ctx context.Context, c Clients, namespace string, wanted *unstructured.Unstructured) (string, error) {
	if wanted.GetNamespace() == "" { // the chart renders namespaced objects only
		wanted.SetNamespace(namespace)
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(wanted.GroupVersionKind())
	err := c.Objects.Get(ctx, client.ObjectKeyFromObject(wanted), live)
	if apierrors.IsNotFound(err) {
		live.Object = nil
	} else if err != nil {
		return "", fmt.Errorf("read it: %w", err)
	}
	after := wanted.DeepCopy()
	err = c.Objects.Apply(ctx, client.ApplyConfigurationFromUnstructured(after),
		client.DryRunAll, client.ForceOwnership, client.FieldOwner(datapower.HelmFieldManager))
	if err != nil {
		return "", fmt.Errorf("try to apply it: %w", err)
	}
	return unified(wanted.GetKind()+"/"+wanted.GetName(), live, after)
}

// unified is the difference of what a chart can render, "" for none.
func unified(name string, before, after *unstructured.Unstructured) (string, error) {
	texts := make([]string, 2)
	for i, u := range []*unstructured.Unstructured{before, after} {
		if u.Object == nil {
			continue
		}
		data, err := yaml.Marshal(plain(u).Object)
		if err != nil {
			return "", fmt.Errorf("write it: %w", err)
		}
		texts[i] = string(data)
	}
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(texts[0]), B: difflib.SplitLines(texts[1]), FromFile: "live/" + name, ToFile: "rendered/" + name, Context: 3,
	})
	if err != nil {
		return "", fmt.Errorf("compare: %w", err)
	}
	return text, nil
}

// plain leaves out what the API server keeps and what the operator adds to every object: its mark of ownership.
// Values of Secrets are not shown.
func plain(u *unstructured.Unstructured) *unstructured.Unstructured {
	out := u.DeepCopy()
	delete(out.Object, "status")
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "ownerReferences"} {
		unstructured.RemoveNestedField(out.Object, "metadata", field)
	}
	labels, annotations := out.GetLabels(), out.GetAnnotations()
	delete(labels, inventory.OwnerUIDLabel)
	maps.DeleteFunc(annotations, func(k, _ string) bool {
		return k == "meta.helm.sh/release-name" || k == "meta.helm.sh/release-namespace"
	})
	out.SetLabels(labels)
	out.SetAnnotations(annotations)
	for field, left := range map[string]map[string]string{"labels": labels, "annotations": annotations} {
		if len(left) == 0 {
			unstructured.RemoveNestedField(out.Object, "metadata", field)
		}
	}
	if out.GetKind() == "Secret" {
		hideSecret(out)
	}
	return out
}
