// SPDX-License-Identifier: Apache-2.0

package oda

import (
	"slices"
	"strings"
)

// Exposure is what becomes of an API.
type Exposure string

// The exposures.
const (
	// Routed: the gateway sends its requests to the implementation.
	Routed Exposure = "Routed"
	// Internal: it is reached inside the cluster only, because settings keep its segment off the gateway.
	Internal Exposure = "Internal"
	// External: it is served outside of the cluster; there is nothing to route to.
	External Exposure = "External"
)

// Match is one condition on the path of a request: equal to Path, or beginning with it.
type Match struct {
	Exact bool
	Path  string
}

// catchAll matches what nothing else matches: Istio puts routes for the prefix "/" after all others, whatever their age
// (SortVHostRoutes in pilot/pkg/networking/core/route of istio.io/istio).
func (m Match) catchAll() bool { return !m.Exact && m.Path == "/" }

// Overlaps tells whether one of the two takes requests from the other.
func (m Match) Overlaps(o Match) bool {
	switch {
	case m.catchAll() || o.catchAll():
		return m.catchAll() && o.catchAll()
	case m.Exact && o.Exact:
		return m.Path == o.Path
	case m.Exact:
		return strings.HasPrefix(m.Path, o.Path)
	case o.Exact:
		return strings.HasPrefix(o.Path, m.Path)
	}
	return strings.HasPrefix(m.Path, o.Path) || strings.HasPrefix(o.Path, m.Path)
}

// Route is the place that an API has on a gateway.
type Route struct {
	// Gateway is "namespace/name".
	Gateway string
	// Hosts that requests are for; "*" stands for those that no other route names.
	Hosts []string
	// Path as the API gives it.
	Path string
	// Matches are the conditions on a request's path; one of them suffices.
	Matches []Match
}

// Route returns where an API is routed under these settings; the Route is empty unless it is Routed.
func (s Settings) Route(a API) (Route, Exposure) {
	switch {
	case a.External():
		return Route{}, External
	case slices.Contains(s.InternalSegments, a.Segment):
		return Route{}, Internal
	}
	return Route{
		Gateway: QualifiedGateway(s.Gateway, a.Namespace), Hosts: s.Hosts(a), Path: a.Path, Matches: s.Matches(a.Path),
	}, Routed
}

// Hosts that the API's route is for. As upstream, spec.hostname does not count unless HostFromSpec says so.
func (s Settings) Hosts(a API) []string {
	switch {
	case s.HostFromSpec && a.Hostname != "":
		return []string{a.Hostname}
	case s.PublicHostname != "":
		return []string{s.PublicHostname}
	}
	return []string{"*"}
}

// Matches are the conditions on the path of a request for an API with the given path.
func (s Settings) Matches(path string) []Match {
	bare := strings.TrimRight(path, "/")
	if !s.SegmentSafePrefix || bare == "" {
		return []Match{{Path: path}}
	}
	return []Match{{Exact: true, Path: bare}, {Path: bare + "/"}}
}

// QualifiedGateway spells a gateway as "namespace/name"; namespace is that of the VirtualService that names it.
func QualifiedGateway(gateway, namespace string) string {
	name, own := strings.CutPrefix(gateway, "./")
	if own || !strings.Contains(gateway, "/") {
		return namespace + "/" + name
	}
	return gateway
}

// Claim is what takes part in the contest for paths.
type Claim struct {
	Key
	// Created decides: the oldest wins, of equally old ones the first by namespace, name and kind.
	Created int64 // seconds since 1970, all that Kubernetes records
	// Foreign claims belong to somebody else: nobody takes their place away, but an older API keeps its own.
	Foreign bool
	Routes  []Route
}

// ClaimOf returns an API's claim; it has no routes unless the API is routed.
func (s Settings) ClaimOf(a API) Claim {
	c := Claim{Key: a.Key, Created: a.Created.Unix()}
	if route, exposure := s.Route(a); exposure == Routed {
		c.Routes = []Route{route}
	}
	return c
}

func (c Claim) compare(o Claim) int {
	for _, d := range []int{
		compareInt(c.Created, o.Created), strings.Compare(c.Namespace, o.Namespace),
		strings.Compare(c.Name, o.Name), strings.Compare(c.Kind, o.Kind),
	} {
		if d != 0 {
			return d
		}
	}
	return 0
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
