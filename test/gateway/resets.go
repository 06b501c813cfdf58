package gateway

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/test/gateway/peering"
)

// Reset is a command that drops all links of one member of a peering: the reset action, or the administrative state
// disabled. It has what there was when the command came.
type Reset struct {
	At time.Time `json:"at"`
	// Instance is the name of the gateway, Peering is "domain/name".
	Instance string `json:"instance"`
	Peering  string `json:"peering"`
	// Primary says that the gateway took itself for the primary.
	Primary bool `json:"primary"`
	// Stale are the addresses that it listed as down and that are no live gateway's. Others are the other live gateways of
	// the service that listed such addresses in their peering of that name.
	Stale  []string `json:"stale,omitempty"`
	Others []string `json:"others,omitempty"`
}

// Resets are the commands to the gateways of a service since the fleet's start, in their order, those to gateways that are
// gone too. The fleet keeps the latest of many.
func (f *Fleet) Resets(namespace, service string) []Reset {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return slices.Clone(f.resets[types.NamespacedName{Namespace: namespace, Name: service}])
}

// maxResets bounds what is kept for each service.
const maxResets = 10_000

// noteReset keeps a command before it is done.
func (f *Fleet) noteReset(p *pod, domain, name string) {
	key := domain + "/" + name
	reset := Reset{At: f.host.clock.Now(), Instance: p.name.String(), Peering: key}
	instances := f.ServiceInstances(p.service.Namespace, p.service.Name)
	live := map[string]bool{}
	for _, instance := range instances {
		live[instance.Address()] = true
	}
	for _, instance := range instances {
		member := instance.Members()[key]
		if member == nil {
			continue
		}
		stale := staleRows(member, live)
		switch {
		case instance.Name() == reset.Instance:
			reset.Primary, reset.Stale = member.IsPrimary(), stale
		case len(stale) > 0:
			reset.Others = append(reset.Others, instance.Name())
		}
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if len(f.resets[p.service]) >= maxResets {
		f.resets[p.service] = slices.Delete(f.resets[p.service], 0, maxResets/4)
	}
	f.resets[p.service] = append(f.resets[p.service], reset)
}

// staleRows are the addresses that a member lists as down and that are not live.
func staleRows(member *peering.Member, live map[string]bool) []string {
	found := map[string]bool{}
	for _, row := range member.Rows() {
		if !row.Up && !live[row.Address] {
			found[row.Address] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
