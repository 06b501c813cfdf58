package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// DefaultIntruders are the field managers of people's tools, as patterns of path.Match. What they
// add to a rendered object is drift and is removed; what any other manager adds (a mesh, an
// autoscaler, a policy engine) is that manager's.
var DefaultIntruders = []string{"kubectl", "kubectl-*", "helm", "k9s"}

// tolerated are tools of people whose additions are meant to stay: a rollout restart is a
// request, not drift.
var tolerated = []string{"kubectl-rollout"}

func intruder(manager string, patterns []string) bool {
	matches := func(pattern string) bool {
		ok, err := path.Match(pattern, manager)
		return err == nil && ok
	}
	return slices.ContainsFunc(patterns, matches) && !slices.ContainsFunc(tolerated, matches)
}

// surplus lists the fields and list items of an object that intruders added and nobody else owns, outermost only.
// Metadata and status are left out: tools annotate freely, and status is its controller's.
func surplus(live *unstructured.Unstructured, intruders []string) ([]fieldpath.Path, error) {
	strange, others := fieldpath.NewSet(), fieldpath.NewSet()
	for _, mf := range live.GetManagedFields() {
		if mf.FieldsV1 == nil {
			continue
		}
		set := fieldpath.NewSet()
		if err := set.FromJSON(bytes.NewReader(mf.FieldsV1.GetRawBytes())); err != nil {
			return nil, fmt.Errorf("read managed fields of %s: %w", mf.Manager, err)
		}
		if mf.Subresource == "" && intruder(mf.Manager, intruders) {
			strange = strange.Union(set)
		} else {
			others = others.Union(set)
		}
	}
	var out []fieldpath.Path
	strange.Difference(others).Iterate(func(p fieldpath.Path) {
		if top := p[0].FieldName; top == nil || *top == "metadata" || *top == "status" {
			return
		}
		inside := slices.ContainsFunc(out, func(q fieldpath.Path) bool { return len(q) < len(p) && p[:len(q)].Equals(q) })
		if !inside && !holdsOthers(others, p) {
			out = append(out, p.Copy())
		}
	})
	return out, nil
}

// holdsOthers tells whether somebody else owns a field below p.
func holdsOthers(others *fieldpath.Set, p fieldpath.Path) bool {
	found := false
	others.Iterate(func(q fieldpath.Path) { // All() must not be left early: it calls on regardless
		found = found || len(q) > len(p) && q[:len(p)].Equals(p)
	})
	return found
}

// removeSurplus takes away what intruders added to live and returns the object as it is then with
// the paths that went.
func (w writer) removeSurplus(info *resource.Info, live *unstructured.Unstructured) (*unstructured.Unstructured, []string, error) {
	extra, err := surplus(live, w.intruders)
	if err != nil || len(extra) == 0 {
		return live, nil, err
	}
	ops := []map[string]any{{"op": "test", "path": "/metadata/resourceVersion", "value": live.GetResourceVersion()}}
	var pointers, shown []string
	for _, p := range extra {
		pointer, found := pointerTo(live.Object, p)
		if !found || w.ignored.Covers(refOf(info).Kind, pointer) {
			continue
		}
		pointers = append(pointers, pointer)
		shown = append(shown, strings.TrimPrefix(p.String(), "."))
	}
	if len(pointers) == 0 {
		return live, nil, nil
	}
	slices.SortFunc(pointers, laterFirst)
	for _, pointer := range pointers {
		ops = append(ops, map[string]any{"op": "remove", "path": pointer})
	}
	data, err := json.Marshal(ops)
	if err != nil {
		return nil, nil, fmt.Errorf("encode patch of %s: %w", refOf(info), err)
	}
	out, err := resource.NewHelper(actual(info.Client), info.Mapping).
		Patch(info.Namespace, info.Name, types.JSONPatchType, data, &metav1.PatchOptions{FieldManager: FieldManager})
	if err != nil {
		return nil, nil, fmt.Errorf("remove what was added to %s: %w", refOf(info), err)
	}
	result, err := answered(out)
	return result, shown, err
}

// pointerTo resolves a field path to a JSON pointer into obj.
func pointerTo(obj any, p fieldpath.Path) (string, bool) {
	var b strings.Builder
	current := obj
	for _, element := range p {
		key, next, ok := descend(current, element)
		if !ok {
			return "", false
		}
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
		current = next
	}
	return b.String(), true
}

func descend(current any, element fieldpath.PathElement) (string, any, bool) {
	if element.FieldName != nil {
		m, ok := current.(map[string]any)
		if !ok {
			return "", nil, false
		}
		next, ok := m[*element.FieldName]
		return *element.FieldName, next, ok
	}
	list, ok := current.([]any)
	if !ok {
		return "", nil, false
	}
	for i, item := range list {
		if isElement(item, i, element) {
			return strconv.Itoa(i), item, true
		}
	}
	return "", nil, false
}

func isElement(item any, index int, element fieldpath.PathElement) bool {
	switch {
	case element.Index != nil:
		return *element.Index == index
	case element.Value != nil:
		return value.Equals(value.NewValueInterface(item), *element.Value)
	case element.Key != nil:
		m, ok := item.(map[string]any)
		if !ok {
			return false
		}
		for _, field := range *element.Key {
			if !value.Equals(value.NewValueInterface(m[field.Name]), field.Value) {
				return false
			}
		}
		return true
	}
	return false
}

// laterFirst orders pointers so that removing one does not move those that follow.
func laterFirst(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		if errX == nil && errY == nil && x != y {
			return y - x
		}
		if c := strings.Compare(bs[i], as[i]); c != 0 {
			return c
		}
	}
	return len(bs) - len(as)
}
