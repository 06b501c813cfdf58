package action

import (
	"fmt"
	"sync"
	"time"

	helmaction "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/clock"
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
	if c.current != nil && c.clock.Since(c.read) < capabilitiesLifetime {
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
	c.current = &chartutil.Capabilities{
		APIVersions: apis,
		KubeVersion: chartutil.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
	}
	c.read = c.clock.Now()
	return c.current, nil
}
