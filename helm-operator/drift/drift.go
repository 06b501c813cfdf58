// Package drift holds the rules about which differences between a rendered object and the live one
// are left alone.
package drift

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// IgnoreRule names fields of one kind that are set when an object is created and left alone ever
// after.
type IgnoreRule struct {
	// Kind of the object, "StatefulSet"; "*" means every kind.
	Kind string `json:"kind"`
	// Paths are JSON pointers (RFC 6901), "/spec/replicas".
	Paths []string `json:"paths"`
}

// Validate tells what is wrong with a rule.
func (r IgnoreRule) Validate() error {
	if r.Kind == "" || len(r.Paths) == 0 {
		return fmt.Errorf("an ignore rule needs a kind and at least one path")
	}
	for _, p := range r.Paths {
		if !strings.HasPrefix(p, "/") || p == "/" {
			return fmt.Errorf("path %q is no JSON pointer such as /spec/replicas", p)
		}
	}
	return nil
}

// Parse reads the form of an annotation: comma-separated Kind:/pointer entries,
// "StatefulSet:/spec/replicas,Service:/spec/type".
func Parse(s string) (Rules, error) {
	var rules Rules
	for entry := range strings.SplitSeq(s, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		kind, pointer, _ := strings.Cut(entry, ":")
		rule := IgnoreRule{Kind: kind, Paths: []string{pointer}}
		if err := rule.Validate(); err != nil {
			return nil, fmt.Errorf("%q: %w", entry, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// Rules are checked together.
type Rules []IgnoreRule

func (rules Rules) pointers(kind string) []string {
	var out []string
	for _, r := range rules {
		if r.Kind == "*" || r.Kind == kind {
			out = append(out, r.Paths...)
		}
	}
	return out
}

// Covers tells whether the field at a JSON pointer of an object of kind is left alone.
func (rules Rules) Covers(kind, pointer string) bool {
	return slices.ContainsFunc(rules.pointers(kind), func(p string) bool {
		return pointer == p || strings.HasPrefix(pointer, p+"/")
	})
}

// KeepLive puts the live value of each ignored field into desired, or takes the field out where the
// live object has none. Of an ignored map only the fields that desired has are touched: nothing is
// claimed that the chart does not render.
func (rules Rules) KeepLive(desired, live *unstructured.Unstructured) {
	for _, pointer := range rules.pointers(desired.GetKind()) {
		steps := strings.Split(pointer[1:], "/")
		for i, s := range steps {
			steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
		}
		last := steps[len(steps)-1]
		into, ok := walk(desired.Object, steps[:len(steps)-1]).(map[string]any)
		if !ok || into[last] == nil {
			continue
		}
		from, _ := walk(live.Object, steps[:len(steps)-1]).(map[string]any)
		keepField(into, from, last)
	}
}

func keepField(into, from map[string]any, field string) {
	inner, isMap := into[field].(map[string]any)
	liveInner, liveIsMap := from[field].(map[string]any)
	switch {
	case isMap && liveIsMap:
		for k := range inner {
			keepField(inner, liveInner, k)
		}
	case from[field] == nil:
		delete(into, field)
	default:
		into[field] = from[field]
	}
}

func walk(current any, steps []string) any {
	for _, s := range steps {
		switch c := current.(type) {
		case map[string]any:
			current = c[s]
		case []any:
			i, err := strconv.Atoi(s)
			if err != nil || i < 0 || i >= len(c) {
				return nil
			}
			current = c[i]
		default:
			return nil
		}
	}
	return current
}
