package inventory

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
)

// bookkeeping are the fields that the API server changes by itself with every write.
var bookkeeping = []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"}

// ChangedPaths lists the fields in which two states of one object differ, as dotted paths in
// order ("spec.template.spec.containers[0].image"), without status and bookkeeping. It carries no
// values, so that it may be shown.
func ChangedPaths(before, after map[string]any) []string {
	var out []string
	diff(clean(before), clean(after), "", &out)
	sort.Strings(out)
	return out
}

func clean(o map[string]any) map[string]any {
	c := maps.Clone(o)
	delete(c, "status")
	if meta, ok := c["metadata"].(map[string]any); ok {
		meta = maps.Clone(meta)
		for _, k := range bookkeeping {
			delete(meta, k)
		}
		c["metadata"] = meta
	}
	return c
}

func diff(a, b any, path string, out *[]string) {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			diffMaps(a, b, path, out)
			return
		}
	case []any:
		if b, ok := b.([]any); ok && len(a) == len(b) {
			for i := range a {
				diff(a[i], b[i], fmt.Sprintf("%s[%d]", path, i), out)
			}
			return
		}
	}
	if !reflect.DeepEqual(a, b) {
		*out = append(*out, path)
	}
}

func diffMaps(a, b map[string]any, path string, out *[]string) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		child := k
		if path != "" {
			child = path + "." + k
		}
		diff(a[k], b[k], child, out)
	}
}
