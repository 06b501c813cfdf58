// Package orphans finds what a custom resource leaves behind that the garbage collector does not collect, when the
// release that lists it is lost: a foreground deletion collects the release Secrets before the release is uninstalled.
package orphans

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

// pageSize bounds one answer.
const pageSize = 500

// Find lists the objects that carry the owner mark of a custom resource and no owner reference: those of other namespaces
// and of the cluster. It asks the API server for every kind that it has, and passes over kinds that the operator may not
// list: it can't have made any of those.
func Find(ctx context.Context, cfg *rest.Config, owner types.UID) ([]inventory.Ref, error) {
	dc, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("create discovery client: %w", err)
	}
	objects, err := metadata.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("create metadata client: %w", err)
	}
	return find(ctx, dc, objects, owner)
}

func find(ctx context.Context, dc discovery.ServerResourcesInterface, objects metadata.Interface, owner types.UID) ([]inventory.Ref, error) {
	lists, err := dc.ServerPreferredResources()
	// Charts seldom have objects of an aggregated API, and one that is down must not keep the resource for ever.
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("list the kinds of the API server: %w", err)
	}
	var out []inventory.Ref
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("list the kinds of the API server: %w", err)
		}
		for _, r := range list.APIResources {
			if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") || !slices.Contains(r.Verbs, "delete") {
				continue
			}
			refs, err := ofKind(ctx, objects.Resource(gv.WithResource(r.Name)), gv.WithKind(r.Kind), owner)
			if err != nil {
				return nil, fmt.Errorf("look for %s: %w", r.Kind, err)
			}
			out = append(out, refs...)
		}
	}
	return out, nil
}

func ofKind(ctx context.Context, objects metadata.Getter, gvk schema.GroupVersionKind, owner types.UID) ([]inventory.Ref, error) {
	var out []inventory.Ref
	options := metav1.ListOptions{LabelSelector: inventory.OwnerUIDLabel + "=" + string(owner), Limit: pageSize}
	for {
		page, err := objects.List(ctx, options)
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, o := range page.Items {
			if len(o.OwnerReferences) == 0 {
				out = append(out, inventory.Ref{GroupVersionKind: gvk, Namespace: o.Namespace, Name: o.Name})
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return out, nil
		}
	}
}

// Manifest writes the identities of objects as a manifest.
func Manifest(refs []inventory.Ref) (string, error) {
	var out strings.Builder
	for _, ref := range refs {
		meta := map[string]any{"name": ref.Name}
		if ref.Namespace != "" {
			meta["namespace"] = ref.Namespace
		}
		apiVersion, kind := ref.ToAPIVersionAndKind()
		data, err := yaml.Marshal(map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": meta})
		if err != nil {
			return "", fmt.Errorf("encode %s: %w", ref, err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.String(), nil
}
