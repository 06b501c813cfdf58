// Package references watches the objects that custom resources name (Secrets, ConfigMaps and what
// else a mapper asks for), as metadata only, and hashes their content when it changed.
package references

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/kinds"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
)

// Tracker answers a mapper's questions about referenced objects and reconciles the custom
// resources that name an object when it changes.
type Tracker struct {
	cache      cache.Cache
	live       client.Reader
	controller controller.Controller

	kinds *kinds.Starter

	mu     sync.Mutex
	users  map[key]map[types.NamespacedName]bool // referenced object -> custom resources
	uses   map[types.NamespacedName][]key
	hashes map[key]hashed
}

type key struct {
	gvk       schema.GroupVersionKind
	namespace string
	name      string
}

type hashed struct {
	version string // UID and resourceVersion that the hash was taken of
	hash    string
	words   map[string]bool
}

var _ mapper.Cluster = (*Tracker)(nil)

// NewTracker reads metadata from c and content from live.
func NewTracker(c cache.Cache, live client.Reader, ctrl controller.Controller) *Tracker {
	t := &Tracker{
		cache: c, live: live, controller: ctrl,
		users:  map[key]map[types.NamespacedName]bool{},
		uses:   map[types.NamespacedName][]key{},
		hashes: map[key]hashed{},
	}
	t.kinds = kinds.NewStarter(c, t.watch)
	return t
}

// Register records which objects cr names, before they are read, so that no change in between is
// missed. It replaces what was recorded for cr; no references forget it.
func (t *Tracker) Register(ctx context.Context, cr types.NamespacedName, refs []mapper.Reference) error {
	t.record(cr, refs)
	gvks := make([]schema.GroupVersionKind, 0, len(refs))
	for _, ref := range refs {
		gvks = append(gvks, ref.GroupVersionKind)
	}
	return t.kinds.Ensure(ctx, gvks...)
}

func (t *Tracker) record(cr types.NamespacedName, refs []mapper.Reference) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.uses[cr]
	delete(t.uses, cr)
	for _, ref := range refs {
		k := key{gvk: ref.GroupVersionKind, namespace: cr.Namespace, name: ref.Name}
		if t.users[k] == nil {
			t.users[k] = map[types.NamespacedName]bool{}
		}
		t.users[k][cr] = true
		t.uses[cr] = append(t.uses[cr], k)
	}
	for _, k := range before {
		if slices.Contains(t.uses[cr], k) {
			continue
		}
		delete(t.users[k], cr)
		if len(t.users[k]) == 0 {
			delete(t.users, k)
			delete(t.hashes, k)
		}
	}
}

func (t *Tracker) watch(obj *metav1.PartialObjectMetadata) error {
	gvk := obj.GroupVersionKind()
	return t.controller.Watch(kinds.Source(t.cache, obj, func(before, after *metav1.PartialObjectMetadata) []reconcile.Request {
		o := after
		switch {
		case after == nil:
			o = before
		case before != nil && before.ResourceVersion == after.ResourceVersion: // a resync
			return nil
		}
		return t.requests(key{gvk: gvk, namespace: o.Namespace, name: o.Name})
	}))
}

func (t *Tracker) requests(k key) []reconcile.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]reconcile.Request, 0, len(t.users[k]))
	for cr := range t.users[k] {
		out = append(out, reconcile.Request{NamespacedName: cr})
	}
	return out
}

// ContentHash implements mapper.Cluster.
func (t *Tracker) ContentHash(ctx context.Context, ref mapper.Reference, namespace string) (string, bool, error) {
	h, found, err := t.content(ctx, ref, namespace)
	return h.hash, found, err
}

// Words implements mapper.Cluster.
func (t *Tracker) Words(ctx context.Context, ref mapper.Reference, namespace string) (map[string]bool, bool, error) {
	h, found, err := t.content(ctx, ref, namespace)
	return h.words, found, err
}

// content reads an object only when its resourceVersion is new.
func (t *Tracker) content(ctx context.Context, ref mapper.Reference, namespace string) (hashed, bool, error) {
	m, found, err := t.metadata(ctx, ref, namespace)
	if err != nil {
		return hashed{}, false, err
	}
	k := key{gvk: ref.GroupVersionKind, namespace: namespace, name: ref.Name}
	t.mu.Lock()
	memo, ok := t.hashes[k]
	t.mu.Unlock()
	if found && ok && memo.version == versionOf(m) {
		return memo, true, nil
	}
	// Not in the cache is not the same as not there: it may have been created just now.
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(ref.GroupVersionKind)
	if err := t.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, u); err != nil {
		if apierrors.IsNotFound(err) {
			return hashed{}, false, nil
		}
		return hashed{}, false, fmt.Errorf("read %s %s: %w", ref.Kind, ref.Name, err)
	}
	hash, err := contentHash(u)
	if err != nil {
		return hashed{}, false, err
	}
	fresh := hashed{version: versionOf(u), hash: hash, words: wordsOf(u)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.users[k]) > 0 { // nobody else would ever forget it
		t.hashes[k] = fresh
	}
	return fresh, true, nil
}

// wordsOf tells which keys of a Secret hold one line of text, allowing for a line break at its end.
func wordsOf(u *unstructured.Unstructured) map[string]bool {
	data, _, err := unstructured.NestedStringMap(u.Object, "data")
	if err != nil {
		return nil
	}
	words := make(map[string]bool, len(data))
	for k, v := range data {
		text, err := base64.StdEncoding.DecodeString(v)
		line := strings.TrimRight(string(text), "\r\n")
		words[k] = err == nil && line != "" && strings.IndexFunc(line, unicode.IsControl) < 0
	}
	return words
}

func versionOf(o metav1.Object) string { return string(o.GetUID()) + "/" + o.GetResourceVersion() }

// contentHash covers data and binaryData, not metadata: a label on a Secret rolls no pod.
func contentHash(u *unstructured.Unstructured) (string, error) {
	data, err := json.Marshal([]any{u.Object["data"], u.Object["binaryData"]})
	if err != nil {
		return "", fmt.Errorf("hash %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// Owner implements mapper.Cluster.
func (t *Tracker) Owner(ctx context.Context, ref mapper.Reference, namespace string) (string, bool, error) {
	m, found, err := t.metadata(ctx, ref, namespace)
	if err != nil || !found {
		return "", false, err
	}
	if c := metav1.GetControllerOf(m); c != nil {
		return string(c.UID), true, nil
	}
	return m.GetLabels()[inventory.OwnerUIDLabel], true, nil
}

func (t *Tracker) metadata(ctx context.Context, ref mapper.Reference, namespace string) (*metav1.PartialObjectMetadata, bool, error) {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(ref.GroupVersionKind)
	err := t.cache.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, m)
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("look up %s %s: %w", ref.Kind, ref.Name, err)
	}
	return m, true, nil
}
