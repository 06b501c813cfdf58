package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotHealed says that the peerings of a service are not as they should be.
var ErrNotHealed = errors.New("the peerings are not healed")

// Healed tells whether the peerings of a service are as a test wants them in the end: every enabled peering of every live
// gateway lists exactly the live gateways' addresses, all links are up, and all agree on one primary among them. Disabled
// peerings are an error too: an operator must not leave any behind.
func (f *Fleet) Healed(namespace, service string) error {
	instances := f.ServiceInstances(namespace, service)
	live := make([]string, 0, len(instances))
	for _, instance := range instances {
		live = append(live, instance.Address())
	}
	slices.Sort(live)
	primaries := map[string]string{}
	for _, instance := range instances {
		for name, member := range instance.Members() {
			if !member.Enabled() {
				return fmt.Errorf("%w: %s of %s is disabled", ErrNotHealed, name, instance.Name())
			}
			var listed []string
			primary := ""
			for _, row := range member.Rows() {
				listed = append(listed, row.Address)
				if !row.Up {
					return fmt.Errorf("%w: %s of %s has no link to %s", ErrNotHealed, name, instance.Name(), row.Address)
				}
				if row.Primary {
					primary = row.Address
				}
			}
			slices.Sort(listed)
			if !slices.Equal(listed, live) {
				return fmt.Errorf("%w: %s of %s lists %s, live are %s", ErrNotHealed, name, instance.Name(),
					strings.Join(listed, " "), strings.Join(live, " "))
			}
			if known, others := primaries[name]; primary == "" || (others && known != primary) {
				return fmt.Errorf("%w: %s of %s has primary %q, others %q", ErrNotHealed, name, instance.Name(), primary, known)
			}
			primaries[name] = primary
		}
	}
	return nil
}
