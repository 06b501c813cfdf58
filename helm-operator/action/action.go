// Package action runs Helm's verbs for one custom resource: install, upgrade, rollback, uninstall,
// and the repair of drift. It is thin: what is to be done is decided in package state.
package action

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/operator-framework/helm-operator-plugins/pkg/annotation"
	helmclient "github.com/operator-framework/helm-operator-plugins/pkg/client"
	helmaction "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/postrender"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/resource"
	clientcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/helm-operator/apply"
	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/release"
	operatorstorage "github.com/datapower-operator/datapower-operator/helm-operator/storage"
)

// RollbackForceAnnotation, as operator-sdk spells it, turns the forced rollback of a failed upgrade
// off with the value "false".
const RollbackForceAnnotation = "helm.sdk.operatorframework.io/rollback-force"

// hookTimeout is how long a chart's hook may take, Helm's own default.
const hookTimeout = 5 * time.Minute

// Factory makes a Client for each custom resource.
type Factory struct {
	getter       helmclient.ActionClientGetter
	capabilities *Capabilities
}

// NewFactory builds on helm-operator-plugins' action clients with server-side apply below them.
func NewFactory(cfg *rest.Config, mapper meta.RESTMapper, caps *Capabilities) (*Factory, error) {
	clients, err := apply.NewClients(cfg)
	if err != nil {
		return nil, err
	}
	core, err := clientcorev1.NewForConfig(protobuf(cfg))
	if err != nil {
		return nil, fmt.Errorf("create client for release storage: %w", err)
	}
	configs, err := helmclient.NewActionConfigGetter(cfg, mapper, helmclient.StorageDriverMapper(storageDriver(core)))
	if err != nil {
		return nil, fmt.Errorf("create Helm configuration: %w", err)
	}
	getter, err := helmclient.NewActionClientGetter(&applyingConfigs{inner: configs, capabilities: caps, clients: clients},
		helmclient.WithFailureRollbacks(false),
		helmclient.AppendInstallOptions(func(i *helmaction.Install) error {
			// Owner marks are set when objects are applied, so that the stored manifest is what
			// `helm template` prints.
			i.PostRenderer = nil
			i.DisableOpenAPIValidation = true
			i.SkipSchemaValidation = true // the render before the preflight has validated the values
			i.TakeOwnership = true        // package apply checks whose objects are
			i.Timeout = hookTimeout
			return nil
		}),
		helmclient.AppendUpgradeOptions(func(u *helmaction.Upgrade) error {
			u.PostRenderer = nil
			u.DisableOpenAPIValidation = true
			u.SkipSchemaValidation = true // the render before the preflight has validated the values
			u.TakeOwnership = true
			u.Timeout = hookTimeout
			return nil
		}),
		helmclient.AppendUninstallOptions(func(u *helmaction.Uninstall) error {
			u.Timeout = hookTimeout
			return nil
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("create Helm clients: %w", err)
	}
	return &Factory{getter: getter, capabilities: caps}, nil
}

// storageDriver keeps the releases of a resource in its namespace, marked as its own.
func storageDriver(core clientcorev1.SecretsGetter) helmclient.ObjectToStorageDriverMapper {
	return func(_ context.Context, obj client.Object, _ *rest.Config) (driver.Driver, error) {
		cr, ok := obj.(*unstructured.Unstructured)
		if !ok {
			return nil, fmt.Errorf("unexpected object %T", obj)
		}
		owner := apply.OwnerOf(cr)
		labels := map[string]string{
			inventory.OwnerUIDLabel: string(owner.UID), release.OwnerKindLabel: release.OwnerOf(owner.GroupKind()),
		}
		return operatorstorage.NewDriver(core.Secrets(cr.GetNamespace()), labels, owner.Reference(), operatorstorage.DefaultPieceSize), nil
	}
}

// protobuf makes clients of built-in kinds speak what costs both sides least.
func protobuf(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	if cfg.ContentType == "" {
		cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
		cfg.ContentType = runtime.ContentTypeProtobuf
	}
	return cfg
}

// Capabilities returns what templates may know of the API server.
func (f *Factory) Capabilities() (*chartutil.Capabilities, error) { return f.capabilities.Get() }

// Options are how objects are written.
type Options struct {
	// Intruders replace apply.DefaultIntruders unless nil.
	Intruders []string
	// Ignored are fields left as they are once an object exists.
	Ignored drift.Rules
	// Lookup lets templates read the cluster. Those of a chart that brings CustomResourceDefinitions always can: Helm
	// needs the cluster for these.
	Lookup bool
}

// For returns a client for one reconcile of cr.
func (f *Factory) For(ctx context.Context, cr *unstructured.Unstructured, o Options) (*Client, error) {
	inner, err := f.getter.ActionClientFor(ctx, cr)
	if err != nil {
		return nil, fmt.Errorf("create Helm client: %w", err)
	}
	applier, ok := inner.Config().KubeClient.(*apply.Client)
	if !ok {
		return nil, fmt.Errorf("create Helm client: unexpected Kubernetes client %T", inner.Config().KubeClient)
	}
	records, ok := inner.Config().Releases.Driver.(*operatorstorage.Driver)
	if !ok {
		return nil, fmt.Errorf("create Helm client: unexpected release storage %T", inner.Config().Releases.Driver)
	}
	applier.Ignored = o.Ignored
	if o.Intruders != nil {
		applier.Intruders = o.Intruders
	}
	c := &Client{inner: inner, apply: applier, records: records, cr: cr, lookup: o.Lookup}
	records.Annotate = c.describe
	return c, nil
}

// applyingConfigs replaces Helm's Kubernetes client and its capabilities.
type applyingConfigs struct {
	inner        helmclient.ActionConfigGetter
	capabilities *Capabilities
	clients      *apply.Clients
}

// ActionConfigFor implements helmclient.ActionConfigGetter.
func (a *applyingConfigs) ActionConfigFor(ctx context.Context, obj client.Object) (*helmaction.Configuration, error) {
	cfg, err := a.inner.ActionConfigFor(ctx, obj)
	if err != nil {
		return nil, err
	}
	inner, ok := cfg.KubeClient.(*kube.Client)
	cr, isUnstructured := obj.(*unstructured.Unstructured)
	if !ok || !isUnstructured {
		return nil, fmt.Errorf("unexpected Kubernetes client %T or object %T", cfg.KubeClient, obj)
	}
	if cfg.Capabilities, err = a.capabilities.Get(); err != nil {
		return nil, err
	}
	mapper, err := cfg.RESTClientGetter.ToRESTMapper()
	if err != nil {
		return nil, err
	}
	cfg.KubeClient = apply.NewClient(inner, mapper, a.clients, apply.OwnerOf(cr))
	return cfg, nil
}

// Client runs Helm's verbs for one custom resource. It is for one reconcile and one goroutine.
type Client struct {
	inner   helmclient.ActionInterface
	apply   *apply.Client
	records *operatorstorage.Driver
	cr      *unstructured.Unstructured
	// lookup lets templates read the cluster.
	lookup bool
	// trial says that the first install is to be taken back when it is refused.
	trial bool
}

// Storage is the release storage in the resource's namespace. What it has read once it remembers; see Read.
func (c *Client) Storage() *storage.Storage { return c.inner.Config().Releases }

// Read asks the API server for the history of the release (see release.Read).
func (c *Client) Read() (release.History, []*helmrelease.Release, error) {
	c.records.Forget()
	return release.Read(c.Storage(), release.NameFor(c.cr.GetName()))
}

// describe are the annotations of a deployed revision's Secret: what the next process needs to know of it.
func (c *Client) describe(rel *helmrelease.Release) map[string]string {
	refs, err := c.Inventory(rel.Manifest)
	if err != nil {
		return nil // the next process finds it out for itself
	}
	if text := inventory.Encode(refs); text != "" {
		return map[string]string{inventory.Annotation: text}
	}
	return nil
}

// Changes lists what was written so far.
func (c *Client) Changes() []apply.Change { return c.apply.Changes }

// Release is what an install or upgrade is to deploy.
type Release struct {
	Chart      *chart.Chart
	Values     chartutil.Values
	Digest     string
	MaxHistory int
	// Rendered replaces what Helm renders from the chart; nil replaces nothing.
	Rendered postrender.PostRenderer
}

func (r Release) labels() map[string]string {
	return map[string]string{release.DigestLabel: r.Digest}
}

// isolate keeps templates from reading the cluster, unless they may.
func (c *Client) isolate(chrt *chart.Chart) {
	if !c.lookup && len(chrt.CRDObjects()) == 0 {
		c.inner.Config().RESTClientGetter = nil // Helm takes it for lookup and for a chart's crds/ only
	}
}

// Install makes the first revision that is deployed. It also takes up an install that failed or
// was interrupted, so that all of the chart's install hooks get their turn.
func (c *Client) Install(r Release) (*helmrelease.Release, error) {
	c.isolate(r.Chart)
	c.inner.Config().Releases.MaxHistory = r.MaxHistory
	opts := []helmclient.InstallOption{func(i *helmaction.Install) error {
		i.Labels = r.labels()
		i.Replace = true
		i.PostRenderer = r.Rendered
		return nil
	}}
	for _, a := range annotation.DefaultInstallAnnotations {
		if v, ok := c.cr.GetAnnotations()[a.Name()]; ok {
			opts = append(opts, a.InstallOption(v))
		}
	}
	rel, err := c.inner.Install(release.NameFor(c.cr.GetName()), c.cr.GetNamespace(), r.Chart, r.Values, opts...)
	if c.trial && rel != nil && apply.Refused(err) {
		err = errors.Join(err, c.takeBack(rel))
	}
	return rel, err
}

// takeBack undoes a first install that was refused; its record goes last, so that another process can finish this.
func (c *Client) takeBack(rel *helmrelease.Release) error {
	if err := c.apply.TakeBack(); err != nil {
		return err
	}
	if _, err := c.Storage().Delete(rel.Name, rel.Version); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return fmt.Errorf("delete the record of the install: %w", err)
	}
	return nil
}

// Upgrade makes a further revision.
func (c *Client) Upgrade(r Release) (*helmrelease.Release, error) {
	c.isolate(r.Chart)
	opts := []helmclient.UpgradeOption{func(u *helmaction.Upgrade) error {
		u.Labels = r.labels()
		u.ResetValues = true // with no values at all, Helm would take the last release's
		u.MaxHistory = r.MaxHistory
		u.PostRenderer = r.Rendered
		return nil
	}}
	for _, a := range annotation.DefaultUpgradeAnnotations {
		if v, ok := c.cr.GetAnnotations()[a.Name()]; ok {
			opts = append(opts, a.UpgradeOption(v))
		}
	}
	return c.inner.Upgrade(release.NameFor(c.cr.GetName()), c.cr.GetNamespace(), r.Chart, r.Values, opts...)
}

// Rollback returns to an earlier revision after a failed upgrade.
func (c *Client) Rollback(revision, maxHistory int) error {
	c.apply.Unsettle() // what the failed upgrade wrote
	rollback := helmaction.NewRollback(c.inner.Config())
	rollback.Version = revision
	rollback.MaxHistory = maxHistory
	rollback.Timeout = hookTimeout
	rollback.Force = true
	if v, err := strconv.ParseBool(c.cr.GetAnnotations()[RollbackForceAnnotation]); err == nil {
		rollback.Force = v
	}
	if err := rollback.Run(release.NameFor(c.cr.GetName())); err != nil {
		return fmt.Errorf("roll back to revision %d: %w", revision, err)
	}
	return nil
}

// Uninstall deletes the release's objects and, unless keepRecord, its records; a release that is
// gone is no error. A release whose objects were deleted before only loses its records.
func (c *Client) Uninstall(keepRecord bool) error {
	opts := []helmclient.UninstallOption{func(u *helmaction.Uninstall) error {
		u.KeepHistory = keepRecord
		return nil
	}}
	for _, a := range annotation.DefaultUninstallAnnotations {
		if v, ok := c.cr.GetAnnotations()[a.Name()]; ok {
			opts = append(opts, a.UninstallOption(v))
		}
	}
	_, err := c.inner.Uninstall(release.NameFor(c.cr.GetName()), opts...)
	if err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return fmt.Errorf("uninstall: %w", err)
	}
	return nil
}

// Preflight checks a manifest against the API server without changing anything. known are the
// objects that the release has already.
func (c *Client) Preflight(manifest string, known []inventory.Ref) error {
	list, err := c.build(manifest)
	if err != nil {
		return err
	}
	set := make(map[inventory.Ref]bool, len(known))
	for _, ref := range known {
		set[ref] = true
	}
	return c.apply.Preflight(list, set)
}

// PreflightFirst is Preflight for the first install of a release. Objects that do nothing by themselves (see
// apply.Inert) are only checked for belonging to somebody else, as far as they come before all others: an install that is
// refused at one of them takes back what it has created.
func (c *Client) PreflightFirst(manifest string) error {
	list, err := c.build(manifest)
	if err != nil {
		return err
	}
	inert := slices.IndexFunc(list, func(info *resource.Info) bool { return !apply.Inert(info) })
	if inert < 0 {
		inert = len(list)
	}
	c.trial = true
	return errors.Join(c.apply.Look(list[:inert]), c.apply.Preflight(list[inert:], nil))
}

// Settle names objects that are known to be as the deployed manifest has them. Preflight and Upgrade pass over them as far
// as they are not to be changed.
func (c *Client) Settle(manifest string, verified func(inventory.Ref) bool) error {
	list, err := c.build(manifest)
	if err != nil {
		return err
	}
	c.apply.Settle(list, verified)
	return nil
}

// Inventory lists the objects of a manifest with their namespaces resolved.
func (c *Client) Inventory(manifest string) ([]inventory.Ref, error) {
	list, err := c.build(manifest)
	if err != nil {
		return nil, err
	}
	refs := make([]inventory.Ref, 0, len(list))
	for _, info := range list {
		refs = append(refs, refOf(info))
	}
	return refs, nil
}

// Delete removes those of the named objects that a manifest has and that are still the resource's.
func (c *Client) Delete(manifest string, refs map[inventory.Ref]bool) error {
	list, err := c.build(manifest)
	if err != nil {
		return err
	}
	var chosen kube.ResourceList
	for _, info := range list {
		if refs[refOf(info)] {
			chosen = append(chosen, info)
		}
	}
	_, errs := c.apply.Delete(chosen)
	return errors.Join(errs...)
}

// Remaining counts the objects of a manifest that are still there and the resource's.
func (c *Client) Remaining(ctx context.Context, manifest string) (int, error) {
	list, err := c.build(manifest)
	if err != nil {
		return 0, err
	}
	return c.apply.Remaining(ctx, list)
}

// TolerateUnknownKinds makes the client pass over objects whose kind the API server does not know.
func (c *Client) TolerateUnknownKinds() { c.apply.TolerateUnknownKinds = true }

// SkipHooks makes the next action pass over hooks that an interrupted one has run already.
func (c *Client) SkipHooks(done []*helmrelease.Hook) { c.apply.SkipHooks(done) }

func refOf(info *resource.Info) inventory.Ref {
	return inventory.Ref{GroupVersionKind: info.Mapping.GroupVersionKind, Namespace: info.Namespace, Name: info.Name}
}

// Repair brings the named objects back to what the manifest says.
func (c *Client) Repair(manifest string, refs map[inventory.Ref]inventory.Finding) ([]apply.Change, error) {
	list, err := c.build(manifest)
	if err != nil {
		return nil, err
	}
	var chosen kube.ResourceList
	for _, info := range list {
		if _, ok := refs[refOf(info)]; ok {
			chosen = append(chosen, info)
		}
	}
	return c.apply.Repair(chosen)
}

func (c *Client) build(manifest string) (kube.ResourceList, error) {
	list, err := c.apply.Build(strings.NewReader(manifest), false)
	if err != nil {
		return nil, fmt.Errorf("resolve kinds of manifest: %w", err)
	}
	return list, nil
}
