package apply

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

// Client is Helm's Kubernetes client with server-side apply in place of its create and three-way
// merge. One Client serves one reconcile; it is not safe for concurrent use.
type Client struct {
	*kube.Client
	owner   Owner
	mapper  meta.RESTMapper
	clients *Clients
	// Intruders are patterns of field managers whose additions to objects are removed.
	Intruders []string
	// Ignored are fields that are left as they are once an object exists.
	Ignored drift.Rules
	// TolerateUnknownKinds makes Build leave out objects whose kind the API server does not know.
	TolerateUnknownKinds bool
	// marks remembers, for each object built, the label and annotations that Helm's actions
	// overwrite with their own, so that what is applied is what the chart rendered.
	marks map[inventory.Ref]marks
	// parsed are the objects of the manifests that were built, built those that infos were made from, without what Helm
	// wrote into the infos since.
	parsed map[string][]*unstructured.Unstructured
	built  map[*resource.Info]*unstructured.Unstructured
	// settled are the objects that are known to be as a manifest had them, as it had them.
	settled map[inventory.Ref]*unstructured.Unstructured
	// absent are the objects that Preflight found not to exist, found those that it found, and foreseen is both as Helm
	// asks for it. They hold until the first write.
	absent   map[inventory.Ref]bool
	found    map[inventory.Ref]*unstructured.Unstructured
	foreseen foreseen
	// Changes lists what this client wrote, in order.
	Changes []Change
	// done are the hooks that ran already.
	done map[hookKey]bool
}

// hookKey identifies a hook within a release.
type hookKey struct{ kind, namespace, name string }

// SkipHooks makes the client pass over hooks that ran to their end in an interrupted action.
func (c *Client) SkipHooks(hooks []*release.Hook) {
	c.done = make(map[hookKey]bool, len(hooks))
	for _, h := range hooks {
		var rendered struct{ Metadata struct{ Namespace string } }
		if yaml.Unmarshal([]byte(h.Manifest), &rendered) == nil { // what was run can be read
			c.done[c.hookKey(h.Kind, rendered.Metadata.Namespace, h.Name)] = true
		}
	}
}

// hookKey takes the release's namespace, which a chart need not name, for none.
func (c *Client) hookKey(kind, namespace, name string) hookKey {
	if namespace == c.owner.Namespace {
		namespace = ""
	}
	return hookKey{kind, namespace, name}
}

// withoutDone drops hooks that ran already.
func (c *Client) withoutDone(resources kube.ResourceList) kube.ResourceList {
	return resources.Filter(func(info *resource.Info) bool {
		u, err := toUnstructured(info.Object)
		isHook := err == nil && u.GetAnnotations()[release.HookAnnotation] != ""
		return !isHook || !c.done[c.hookKey(info.Mapping.GroupVersionKind.Kind, info.Namespace, info.Name)]
	})
}

// WatchUntilReady implements kube.Interface; Helm calls it for hooks.
func (c *Client) WatchUntilReady(resources kube.ResourceList, timeout time.Duration) error {
	c.forget() // a hook may take long
	rest := c.withoutDone(resources)
	if len(rest) == 0 {
		return nil
	}
	return c.Client.WatchUntilReady(rest, timeout)
}

var (
	_ kube.Interface                    = (*Client)(nil)
	_ kube.InterfaceExt                 = (*Client)(nil)
	_ kube.InterfaceThreeWayMerge       = (*Client)(nil)
	_ kube.InterfaceDeletionPropagation = (*Client)(nil)
)

// NewClient wraps Helm's client for the objects of owner.
func NewClient(inner *kube.Client, mapper meta.RESTMapper, clients *Clients, owner Owner) *Client {
	return &Client{Client: inner, mapper: mapper, clients: clients, owner: owner, Intruders: DefaultIntruders,
		marks: map[inventory.Ref]marks{}, absent: map[inventory.Ref]bool{}, foreseen: foreseen{},
		parsed: map[string][]*unstructured.Unstructured{}, built: map[*resource.Info]*unstructured.Unstructured{},
		found: map[inventory.Ref]*unstructured.Unstructured{}}
}

// forget drops what was found out about objects before somebody had the time to change them.
func (c *Client) forget() {
	clear(c.absent)
	clear(c.found)
	clear(c.foreseen)
}

// Settle names objects that are as the given manifest has them. As long as the manifests that follow have them the same
// way, they are neither checked nor written.
func (c *Client) Settle(resources kube.ResourceList, verified func(inventory.Ref) bool) {
	c.settled = map[inventory.Ref]*unstructured.Unstructured{}
	for _, info := range resources {
		if u, ok := c.built[info]; ok && verified(refOf(info)) {
			c.settled[refOf(info)] = u
		}
	}
}

// Unsettle takes back what Settle said.
func (c *Client) Unsettle() { c.settled = nil }

// unchanged tells that the object of info is settled as info has it.
func (c *Client) unchanged(info *resource.Info) bool {
	before, settled := c.settled[refOf(info)]
	u, known := c.built[info]
	return settled && known && reflect.DeepEqual(before.Object, u.Object)
}

// marks are the pieces of metadata that Helm's actions set on every object
// (helm.sh/helm/v3/pkg/action/validate.go: setMetadataVisitor).
type marks struct {
	managedBy    string
	hasManagedBy bool
	annotations  map[string]string
}

const (
	managedByLabel     = "app.kubernetes.io/managed-by"
	helmAnnotationBase = "meta.helm.sh/"
)

func marksOf(u *unstructured.Unstructured) marks {
	m := marks{annotations: map[string]string{}}
	m.managedBy, m.hasManagedBy = u.GetLabels()[managedByLabel]
	for k, v := range u.GetAnnotations() {
		if strings.HasPrefix(k, helmAnnotationBase) {
			m.annotations[k] = v
		}
	}
	return m
}

func (m marks) restore(u *unstructured.Unstructured) {
	labels := u.GetLabels()
	delete(labels, managedByLabel)
	if m.hasManagedBy {
		labels[managedByLabel] = m.managedBy
	}
	u.SetLabels(labels)
	annotations := u.GetAnnotations()
	for k := range annotations {
		if strings.HasPrefix(k, helmAnnotationBase) {
			delete(annotations, k)
		}
	}
	for k, v := range m.annotations {
		annotations[k] = v
	}
	if len(annotations) == 0 {
		annotations = nil
	}
	u.SetAnnotations(annotations)
}

// IsReachable implements kube.Interface. Every action asks first; the request that follows tells
// as much.
func (c *Client) IsReachable() error { return nil }

// knownKinds writes those documents whose kind can be mapped.
func (c *Client) knownKinds(objects []*unstructured.Unstructured) (string, error) {
	var out strings.Builder
	for _, u := range objects {
		gvk := u.GroupVersionKind()
		_, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if meta.IsNoMatchError(err) {
			continue
		}
		data, err := yaml.Marshal(u.Object)
		if err != nil {
			return "", fmt.Errorf("encode %s %s: %w", u.GetKind(), u.GetName(), err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return out.String(), nil
}

// WaitForDelete implements kube.InterfaceExt; Helm calls it for hooks, which it deletes before it
// creates them.
func (c *Client) WaitForDelete(resources kube.ResourceList, timeout time.Duration) error {
	rest := c.withoutDone(resources)
	if len(rest) == 0 {
		return nil
	}
	return c.Client.WaitForDelete(rest, timeout)
}

// Create implements kube.Interface.
func (c *Client) Create(resources kube.ResourceList) (*kube.Result, error) {
	rest := c.withoutDone(resources)
	if len(resources) == 0 {
		return &kube.Result{}, kube.ErrNoObjectsVisited
	}
	return c.applyAll(nil, rest)
}

// Update implements kube.Interface. force has no meaning here: apply always wins over other
// managers for the fields that the chart renders.
func (c *Client) Update(original, target kube.ResourceList, _ bool) (*kube.Result, error) {
	res, err := c.applyAll(original, target)
	if err != nil {
		return res, err
	}
	for _, info := range original.Difference(target) {
		if kept(info) {
			continue
		}
		change, err := c.writer().delete(info, metav1.DeletePropagationBackground)
		if err != nil {
			return res, err
		}
		c.Changes = append(c.Changes, change)
		res.Deleted = append(res.Deleted, info)
	}
	return res, nil
}

// UpdateThreeWayMerge implements kube.InterfaceThreeWayMerge.
func (c *Client) UpdateThreeWayMerge(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	return c.Update(original, target, force)
}

// Delete implements kube.Interface.
func (c *Client) Delete(resources kube.ResourceList) (*kube.Result, []error) {
	return c.DeleteWithPropagationPolicy(resources, metav1.DeletePropagationBackground)
}

// DeleteWithPropagationPolicy implements kube.InterfaceDeletionPropagation. Objects that are not
// (or no longer) the owner's stay.
func (c *Client) DeleteWithPropagationPolicy(resources kube.ResourceList, policy metav1.DeletionPropagation) (*kube.Result, []error) {
	var errs []error
	res := &kube.Result{}
	for _, info := range c.withoutDone(resources) {
		change, err := c.writer().delete(info, policy)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.Changes = append(c.Changes, change)
		res.Deleted = append(res.Deleted, info)
	}
	return res, errs
}

// Remaining counts the owner's objects among resources that still exist.
func (c *Client) Remaining(ctx context.Context, resources kube.ResourceList) (int, error) {
	count := 0
	for _, info := range resources {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		live, err := getLive(info)
		if err != nil {
			return 0, err
		}
		if live != nil && c.owner.ownershipOf(live) == ours && !kept(info) {
			count++
		}
	}
	return count, nil
}

// Preflight asks the API server to apply every object without storing anything, and returns what
// would fail. A namespace that does not exist yet is no failure: the chart may bring it.
func (c *Client) Preflight(resources kube.ResourceList, known map[inventory.Ref]bool) error {
	var errs []error
	for _, info := range resources {
		if c.unchanged(info) {
			continue
		}
		ref := refOf(info)
		live, err := c.writer().probe(c.unmarked(info), known[ref])
		if err == nil {
			c.foresee(info, live)
		} else if !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Look finds out whether objects exist, and returns those that are somebody else's.
func (c *Client) Look(resources kube.ResourceList) error {
	var errs []error
	for _, info := range resources {
		live, err := getLive(info)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.foresee(info, live)
		if live == nil {
			continue
		}
		if o := c.owner.ownershipOf(live); o == foreign || o == nobodys {
			errs = append(errs, foreignError(info, live))
		}
	}
	return errors.Join(errs...)
}

// foresee remembers whether an object exists.
func (c *Client) foresee(info *resource.Info, live *unstructured.Unstructured) {
	ref := refOf(info)
	c.absent[ref] = live == nil
	delete(c.found, ref)
	if live != nil {
		c.found[ref] = live
	}
	if _, ok := info.Client.(knowing); ok {
		c.foreseen[pathOf(info)] = live != nil
	}
}

// TakeBack deletes what this client created, the newest first, and nothing that took the place of it.
func (c *Client) TakeBack() error {
	var errs []error
	for _, change := range slices.Backward(c.Changes) {
		if change.Verb != Created {
			continue
		}
		if err := c.deleteCreated(change); err != nil {
			errs = append(errs, fmt.Errorf("take back %s: %w", change.Ref, err))
		}
	}
	if len(errs) == 0 {
		c.Changes = nil
	}
	return errors.Join(errs...)
}

func (c *Client) deleteCreated(change Change) error {
	mapping, err := c.mapper.RESTMapping(change.Ref.GroupKind(), change.Ref.Version)
	if err != nil {
		return err
	}
	client, err := c.clients.of(mapping.GroupVersionKind.GroupVersion())
	if err != nil {
		return err
	}
	policy, uid := metav1.DeletePropagationBackground, change.Live.UID
	opts := &metav1.DeleteOptions{PropagationPolicy: &policy, Preconditions: &metav1.Preconditions{UID: &uid}}
	_, err = resource.NewHelper(client, mapping).DeleteWithOptions(change.Ref.Namespace, change.Ref.Name, opts)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// Repair applies the given objects and returns what it had to change.
func (c *Client) Repair(resources kube.ResourceList) ([]Change, error) {
	var (
		out  []Change
		errs []error
	)
	for _, info := range resources {
		change, err := c.writer().apply(c.unmarked(info), true, lookedAt{})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, change)
	}
	c.Changes = append(c.Changes, out...)
	return out, errors.Join(errs...)
}

func (c *Client) applyAll(original, target kube.ResourceList) (*kube.Result, error) {
	res := &kube.Result{}
	known := map[inventory.Ref]bool{}
	for _, info := range original {
		known[refOf(info)] = true
	}
	defer c.forget()
	for _, info := range target {
		if c.unchanged(info) {
			res.Updated = append(res.Updated, info)
			continue
		}
		ref := refOf(info)
		// Of two answers to whether an object was there, the later one counts: one that was absent and is known by now
		// is somebody else's.
		appeared := c.absent[ref] && known[ref]
		look := lookedAt{live: c.found[ref], done: c.found[ref] != nil || c.absent[ref] && !appeared}
		change, err := c.writer().apply(c.unmarked(info), known[ref] && !appeared, look)
		if err != nil {
			return res, err
		}
		c.Changes = append(c.Changes, change)
		if change.Verb == Created {
			res.Created = append(res.Created, info)
		} else {
			res.Updated = append(res.Updated, info)
		}
	}
	return res, nil
}

func (c *Client) writer() writer {
	return writer{owner: c.owner, intruders: c.Intruders, ignored: c.Ignored}
}

// unmarked undoes what Helm's actions wrote into the object's metadata.
func (c *Client) unmarked(info *resource.Info) *resource.Info {
	m, ok := c.marks[refOf(info)]
	if !ok {
		return info
	}
	if u, isUnstructured := info.Object.(*unstructured.Unstructured); isUnstructured {
		m.restore(u)
	}
	return info
}

func kept(info *resource.Info) bool {
	u, err := toUnstructured(info.Object)
	return err == nil && u.GetAnnotations()[kube.ResourcePolicyAnno] == kube.KeepPolicy
}

// Describe renders changes for an event or log line, "created Service gw-headless, changed StatefulSet gw
// (spec.replicas)". At most limit changes are spelt out.
func Describe(changes []Change, limit int) string {
	var parts []string
	for _, ch := range changes {
		if ch.Verb == Unchanged {
			continue
		}
		text := fmt.Sprintf("%s %s", ch.Verb, ch.Ref)
		if len(ch.Paths) > 0 {
			text += " (" + strings.Join(firstN(ch.Paths, 5), ", ") + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(firstN(parts, limit), ", ")
}

func firstN(s []string, n int) []string {
	if len(s) <= n {
		return s
	}
	return append(append([]string{}, s[:n]...), fmt.Sprintf("and %d more", len(s)-n))
}
