package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	owner  Owner
	mapper meta.RESTMapper
	// Intruders are patterns of field managers whose additions to objects are removed.
	Intruders []string
	// Ignored are fields that are left as they are once an object exists.
	Ignored drift.Rules
	// TolerateUnknownKinds makes Build leave out objects whose kind the API server does not know.
	TolerateUnknownKinds bool
	// marks remembers, for each object built, the label and annotations that Helm's actions
	// overwrite with their own, so that what is applied is what the chart rendered.
	marks map[inventory.Ref]marks
	// absent are the objects that Preflight found not to exist.
	absent map[inventory.Ref]bool
	// Changes lists what this client wrote, in order.
	Changes []Change
	// done are the hooks that ran already.
	done map[hookKey]bool
}

// hookKey identifies a hook within a release.
type hookKey struct{ kind, name string }

// SkipHooks makes the client pass over hooks that ran to their end in an interrupted action.
func (c *Client) SkipHooks(hooks []*release.Hook) {
	c.done = make(map[hookKey]bool, len(hooks))
	for _, h := range hooks {
		c.done[hookKey{h.Kind, h.Name}] = true
	}
}

// withoutDone drops hooks that ran already.
func (c *Client) withoutDone(resources kube.ResourceList) kube.ResourceList {
	return resources.Filter(func(info *resource.Info) bool {
		u, err := toUnstructured(info.Object)
		isHook := err == nil && u.GetAnnotations()[release.HookAnnotation] != ""
		return !isHook || !c.done[hookKey{info.Mapping.GroupVersionKind.Kind, info.Name}]
	})
}

// WatchUntilReady implements kube.Interface; Helm calls it for hooks.
func (c *Client) WatchUntilReady(resources kube.ResourceList, timeout time.Duration) error {
	clear(c.absent) // a hook may take long
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
func NewClient(inner *kube.Client, mapper meta.RESTMapper, owner Owner) *Client {
	return &Client{Client: inner, mapper: mapper, owner: owner, Intruders: DefaultIntruders,
		marks: map[inventory.Ref]marks{}, absent: map[inventory.Ref]bool{}}
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

// Build implements kube.Interface. The API server validates what is applied, so the client never
// downloads its schemas.
func (c *Client) Build(reader io.Reader, _ bool) (kube.ResourceList, error) {
	if c.TolerateUnknownKinds {
		var err error
		if reader, err = c.knownKinds(reader); err != nil {
			return nil, err
		}
	}
	list, err := c.Client.Build(reader, false)
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

// knownKinds drops the documents of a manifest whose kind can't be mapped.
func (c *Client) knownKinds(reader io.Reader) (io.Reader, error) {
	manifest, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	objects, err := inventory.Parse(string(manifest))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, u := range objects {
		gvk := u.GroupVersionKind()
		_, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if meta.IsNoMatchError(err) {
			continue
		}
		data, err := yaml.Marshal(u.Object)
		if err != nil {
			return nil, fmt.Errorf("encode %s %s: %w", u.GetKind(), u.GetName(), err)
		}
		out.WriteString("---\n")
		out.Write(data)
	}
	return &out, nil
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
		if live != nil && ownershipOf(live, c.owner.UID) == ours && !kept(info) {
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
		ref := refOf(info)
		absent, err := c.writer().probe(c.unmarked(info), known[ref])
		c.absent[ref] = absent
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Repair applies the given objects and returns what it had to change.
func (c *Client) Repair(resources kube.ResourceList) ([]Change, error) {
	var (
		out  []Change
		errs []error
	)
	for _, info := range resources {
		change, err := c.writer().apply(c.unmarked(info), true, false)
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
	for _, info := range target {
		ref := refOf(info)
		// Helm looks at each object once more before it writes; one that was absent and is known by
		// now is somebody else's.
		appeared := c.absent[ref] && known[ref]
		change, err := c.writer().apply(c.unmarked(info), known[ref] && !appeared, c.absent[ref] && !appeared)
		delete(c.absent, ref)
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
