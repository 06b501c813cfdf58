package action

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	helmaction "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// capabilitiesLifetime bounds how long a new kind or Kubernetes version stays unknown to
// templates.
const capabilitiesLifetime = 10 * time.Minute

// Capabilities remembers what the API server offers (.Capabilities of templates). Helm asks anew
// for every action, which costs two requests and the discovery cache of everybody else.
type Capabilities struct {
	discovery discovery.DiscoveryInterface
	clock     clock.PassiveClock

	mu      sync.Mutex
	current *chartutil.Capabilities
	read    time.Time
	watched bool
	// last is what was offered when it was read last.
	last chartutil.VersionSet
}

// NewCapabilities returns a cache over d.
func NewCapabilities(d discovery.DiscoveryInterface, c clock.PassiveClock) *Capabilities {
	return &Capabilities{discovery: d, clock: c}
}

// Get returns the capabilities, reading them when they are unknown or old. The result is shared
// and must not be changed.
func (c *Capabilities) Get() (*chartutil.Capabilities, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && (c.watched || c.clock.Since(c.read) < capabilitiesLifetime) {
		return c.current, nil
	}
	version, err := c.discovery.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("read Kubernetes version: %w", err)
	}
	apis, err := helmaction.GetVersionSet(c.discovery)
	// One broken aggregated API must not stop everything else: Helm goes on with the rest too.
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("read API versions: %w", err)
	}
	if groups, failed := discovery.GroupDiscoveryFailedErrorGroups(err); failed {
		apis = withGroups(apis, c.last, groups)
	}
	c.last = apis
	c.current = &chartutil.Capabilities{
		APIVersions: apis,
		KubeVersion: chartutil.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
	}
	c.read = c.clock.Now()
	return c.current, nil
}

// withGroups adds to versions those that groups had before they stopped answering: a chart must not drop objects
// because an aggregated API is down.
func withGroups(versions, before chartutil.VersionSet, groups map[schema.GroupVersion]error) chartutil.VersionSet {
	for _, v := range before {
		group, rest, _ := strings.Cut(v, "/")
		version, _, _ := strings.Cut(rest, "/")
		if _, failed := groups[schema.GroupVersion{Group: group, Version: version}]; failed && !versions.Has(v) {
			versions = append(versions, v)
		}
	}
	return versions
}

// Invalidate makes the next Get read anew.
func (c *Capabilities) Invalidate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
}

// sources are the kinds whose objects say what the API server offers.
var sources = []schema.GroupVersionKind{
	{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
	{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"},
}

// discoveryLag is how long the API server may take from the event of a new kind to listing it.
const discoveryLag = 3 * time.Second

// Watch invalidates the capabilities when a custom resource definition or an aggregated API comes, changes or goes, and
// calls changed, at once and again when discovery has caught up. Meanwhile they don't age. It returns
// when the context ends.
func (c *Capabilities) Watch(ctx context.Context, informers cache.Informers, changed func()) error {
	notices := make(chan struct{}, 1)
	for _, gvk := range sources {
		if err := notify(ctx, informers, gvk, notices); err != nil {
			return fmt.Errorf("watch %s: %w", gvk.Kind, err)
		}
	}
	c.setWatched(true)
	defer c.setWatched(false)
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-notices:
			again = time.After(discoveryLag)
		case <-again:
			again = nil
		}
		c.Invalidate()
		changed()
	}
}

func (c *Capabilities) setWatched(watched bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched = watched
}

// notify sends a notice when an object of the kind is added, changed or deleted after the first list.
func notify(ctx context.Context, informers cache.Informers, gvk schema.GroupVersionKind, notices chan<- struct{}) error {
	notice := func() {
		select {
		case notices <- struct{}{}:
		default: // one is waiting already
		}
	}
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(gvk)
	informer, err := informers.GetInformer(ctx, obj)
	if err != nil {
		return err
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(_ any, initial bool) {
			if !initial {
				notice()
			}
		},
		UpdateFunc: func(before, after any) {
			a, okA := before.(metav1.Object)
			b, okB := after.(metav1.Object)
			if !okA || !okB || a.GetResourceVersion() != b.GetResourceVersion() {
				notice()
			}
		},
		DeleteFunc: func(any) { notice() },
	})
	return err
}
