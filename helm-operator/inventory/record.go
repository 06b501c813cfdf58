package inventory

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Annotation on the Secret of a deployed revision lists its objects (see Encode), so that a new process need not render
// the chart to know them.
const Annotation = "helm.sdk.operatorframework.io/inventory"

// maxRecord bounds a list of objects in bytes: the annotations of an object may have 256 KiB together.
const maxRecord = 128 << 10

// ErrRecord says that a list of objects can't be read.
var ErrRecord = errors.New("no list of objects")

// Encode writes refs one to a line, "apps/v1 StatefulSet prod/gw", cluster-scoped ones as "v1 Namespace /prod". It returns
// "" when the list is too long to be kept.
func Encode(refs []Ref) string {
	var b strings.Builder
	for _, ref := range refs {
		fmt.Fprintf(&b, "%s %s %s/%s\n", ref.GroupVersion(), ref.Kind, ref.Namespace, ref.Name)
	}
	if b.Len() > maxRecord {
		return ""
	}
	return b.String()
}

// Decode reads what Encode wrote.
func Decode(text string) ([]Ref, error) {
	var refs []Ref
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%w: %q", ErrRecord, line)
		}
		gv, err := schema.ParseGroupVersion(fields[0])
		namespace, name, found := strings.Cut(fields[2], "/")
		if err != nil || !found {
			return nil, fmt.Errorf("%w: %q", ErrRecord, line)
		}
		refs = append(refs, Ref{GroupVersionKind: gv.WithKind(fields[1]), Namespace: namespace, Name: name})
	}
	return refs, nil
}
