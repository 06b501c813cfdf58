// Package inventory knows which objects belong to a release and tells, from metadata alone,
// whether one of them may have changed since it was last verified.
package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// OwnerUIDLabel is set on every rendered object and release Secret to the UID of the custom
// resource they belong to. Caches select by it, so that they hold nothing of the rest of the
// cluster, and objects that can't have an owner reference are found by it too.
const OwnerUIDLabel = "helm.sdk.operatorframework.io/owner-uid"

// Ref identifies one object of a release. Namespace is empty for cluster-scoped objects.
type Ref struct {
	schema.GroupVersionKind
	Namespace string
	Name      string
}

// String gives the ref as kubectl prints it, "StatefulSet gw" or "Service other/gw".
func (r Ref) String() string {
	return r.Kind + " " + r.Name
}

// Parse reads a manifest into its objects, in order.
func Parse(manifest string) ([]*unstructured.Unstructured, error) {
	dec := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4096)
	var out []*unstructured.Unstructured
	for {
		u := &unstructured.Unstructured{}
		if err := dec.Decode(&u.Object); err != nil {
			if err == io.EOF {
				return out, nil
			}
			return nil, fmt.Errorf("parse manifest: %w", err)
		}
		if len(u.Object) == 0 {
			continue
		}
		out = append(out, u)
	}
}

// RefOf returns the ref of an object; namespace stands in when the object names none and is
// namespaced.
func RefOf(u *unstructured.Unstructured, namespaced bool, namespace string) Ref {
	r := Ref{GroupVersionKind: u.GroupVersionKind(), Name: u.GetName()}
	if namespaced {
		if r.Namespace = u.GetNamespace(); r.Namespace == "" {
			r.Namespace = namespace
		}
	}
	return r
}

// Fingerprint of an object's metadata: it changes whenever something changes that a chart could
// have rendered. Kinds that count generations are compared by generation, so that a status update
// costs nothing; others by resourceVersion.
func Fingerprint(m *metav1.PartialObjectMetadata) string {
	version := fmt.Sprintf("g%d", m.Generation)
	if m.Generation == 0 {
		version = "r" + m.ResourceVersion
	}
	meta, err := json.Marshal(struct {
		Labels, Annotations map[string]string
		Owners              []metav1.OwnerReference
		Finalizers          []string
		Deleting            bool
	}{m.Labels, m.Annotations, m.OwnerReferences, m.Finalizers, m.DeletionTimestamp != nil})
	if err != nil { // strings and bools always marshal
		return m.ResourceVersion
	}
	sum := sha256.Sum256(meta)
	return string(m.UID) + "/" + version + "/" + hex.EncodeToString(sum[:8])
}

// Finding is what a comparison of the inventory with the cache found about one object.
type Finding int

const (
	// Unchanged since it was last verified.
	Unchanged Finding = iota
	// Suspect objects differ from what was verified, or were never verified.
	Suspect
	// Missing objects are not in the cache.
	Missing
)

// Compare tells for each ref whether its live metadata is what was verified last.
func Compare(refs []Ref, verified map[Ref]string, live func(Ref) (*metav1.PartialObjectMetadata, bool)) map[Ref]Finding {
	out := map[Ref]Finding{}
	for _, ref := range refs {
		m, ok := live(ref)
		switch {
		case !ok:
			out[ref] = Missing
		case verified[ref] == "" || verified[ref] != Fingerprint(m):
			out[ref] = Suspect
		}
	}
	return out
}
