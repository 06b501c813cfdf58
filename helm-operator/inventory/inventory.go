// Package inventory knows which objects belong to a release and tells, from metadata alone,
// whether one of them may have changed since it was last verified.
package inventory

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
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

// Parse reads a manifest into its objects, in order. Whole numbers are int64, as the API machinery wants them.
func Parse(manifest string) ([]*unstructured.Unstructured, error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifest)))
	var out []*unstructured.Unstructured
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("parse manifest: %w", err)
		}
		u := &unstructured.Unstructured{}
		data, err := yaml.YAMLToJSON(text)
		if err == nil {
			err = utiljson.Unmarshal(data, &u.Object)
		}
		if err != nil {
			return nil, fmt.Errorf("parse manifest: %w", err)
		}
		if len(u.Object) > 0 {
			out = append(out, u)
		}
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

// Compact replaces the managed fields of an object's metadata by one entry with a digest of all
// writes but those to the status, which is all that a comparison needs of them. It is idempotent:
// informers may transform an object twice.
func Compact(m *metav1.PartialObjectMetadata) {
	if len(m.ManagedFields) == 0 || isCompact(m) {
		return
	}
	h := sha256.New()
	for _, mf := range m.ManagedFields {
		if mf.Subresource == "status" || mf.FieldsV1 == nil {
			continue
		}
		fmt.Fprintf(h, "%q %q %q ", mf.Manager, mf.Operation, mf.Subresource)
		h.Write(canonical(mf.FieldsV1.GetRawBytes()))
		if mf.Time != nil {
			fmt.Fprintf(h, " %d", mf.Time.Unix())
		}
	}
	m.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: hex.EncodeToString(h.Sum(nil)[:8])}}
}

func isCompact(m *metav1.PartialObjectMetadata) bool {
	return len(m.ManagedFields) == 1 && m.ManagedFields[0].FieldsV1 == nil
}

// canonical writes JSON with sorted keys: two clients may read one object's fields in two orders.
func canonical(data []byte) []byte {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return data
	}
	sorted, err := json.Marshal(v)
	if err != nil {
		return data
	}
	return sorted
}

// Fingerprint of an object's compacted metadata: it changes whenever something changes that a
// chart could have rendered. A change of the status costs nothing: kinds that count generations
// are compared by generation, others by who wrote what, and only objects without either by
// resourceVersion.
func Fingerprint(m *metav1.PartialObjectMetadata) string {
	version := "r" + m.ResourceVersion
	switch {
	case m.Generation != 0:
		version = fmt.Sprintf("g%d", m.Generation)
	case isCompact(m):
		version = "w" + m.ManagedFields[0].Manager
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

// Digest of the fingerprints of all objects of a release: 16 hexadecimal characters, "" when one is unknown.
func Digest(refs []Ref, fingerprints map[Ref]string) string {
	h := sha256.New()
	for _, ref := range refs {
		if fingerprints[ref] == "" {
			return ""
		}
		fmt.Fprintf(h, "%q %q %q %q\n", ref.GroupVersionKind.String(), ref.Namespace, ref.Name, fingerprints[ref])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
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

// Compare tells for each ref whether its live metadata is what was verified last. An error of live is returned: what can't
// be looked up is not missing.
func Compare(refs []Ref, verified map[Ref]string, live func(Ref) (*metav1.PartialObjectMetadata, bool, error)) (map[Ref]Finding, error) {
	out := map[Ref]Finding{}
	for _, ref := range refs {
		m, found, err := live(ref)
		switch {
		case err != nil:
			return nil, err
		case !found:
			out[ref] = Missing
		case verified[ref] == "" || verified[ref] != Fingerprint(m):
			out[ref] = Suspect
		}
	}
	return out, nil
}
