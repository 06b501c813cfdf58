package apply

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

// Build implements kube.Interface. The API server validates what is applied, so the client never downloads its schemas.
// A manifest is parsed once, however often an action asks for it.
func (c *Client) Build(reader io.Reader, _ bool) (kube.ResourceList, error) {
	manifest, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	objects, err := c.parse(string(manifest))
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(objects, (*unstructured.Unstructured).IsList) {
		return c.buildLists(string(manifest), objects)
	}
	list := make(kube.ResourceList, 0, len(objects))
	var errs []error
	for _, u := range objects {
		info, err := c.info(u)
		if meta.IsNoMatchError(err) && c.TolerateUnknownKinds {
			continue
		}
		if err != nil {
			// Helm knows an API that is gone by this text.
			errs = append(errs, fmt.Errorf("unable to recognize %q: %w", "", err))
			continue
		}
		c.built[info] = u
		c.marks[refOf(info)] = marksOf(u)
		list = append(list, info)
	}
	return list, errors.Join(errs...)
}

// parse returns the objects of a manifest, which are shared and must not be changed.
func (c *Client) parse(manifest string) ([]*unstructured.Unstructured, error) {
	if objects, ok := c.parsed[manifest]; ok {
		return objects, nil
	}
	objects, err := inventory.Parse(manifest)
	if err != nil {
		return nil, err
	}
	c.parsed[manifest] = objects
	return objects, nil
}

// info is what Helm's actions work with. They edit the object's metadata, so it has its own.
func (c *Client) info(u *unstructured.Unstructured) (*resource.Info, error) {
	gvk := u.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	client, err := c.clients.of(mapping.GroupVersionKind.GroupVersion())
	if err != nil {
		return nil, err
	}
	own := &unstructured.Unstructured{Object: maps.Clone(u.Object)}
	if metadata, ok := u.Object["metadata"].(map[string]any); ok {
		own.Object["metadata"] = maps.Clone(metadata)
	}
	info := &resource.Info{
		Client: knowing{groupClient: client, answers: c.foreseen}, Mapping: mapping,
		Name: u.GetName(), Namespace: u.GetNamespace(), Object: own,
	}
	if info.Namespaced() && info.Namespace == "" {
		info.Namespace = c.Namespace
		own.SetNamespace(c.Namespace)
	}
	return info, nil
}

// buildLists leaves it to Helm to take lists apart.
func (c *Client) buildLists(manifest string, objects []*unstructured.Unstructured) (kube.ResourceList, error) {
	if c.TolerateUnknownKinds {
		var err error
		if manifest, err = c.knownKinds(objects); err != nil {
			return nil, err
		}
	}
	list, err := c.Client.Build(strings.NewReader(manifest), false)
	if err != nil {
		return nil, err
	}
	for _, info := range list {
		u, err := toUnstructured(info.Object)
		if err != nil {
			return nil, err
		}
		c.marks[refOf(info)] = marksOf(u)
	}
	return list, nil
}
