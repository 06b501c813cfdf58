// Package config is the configuration of a stand-in gateway: what [Load] understands of the gateway's files, and, in
// [Assemble], what the init script of the chart datapowerservice makes of the objects that a pod mounts.
package config

import (
	"cmp"
	"slices"
)

// DefaultDomain is the domain that every gateway has.
const DefaultDomain = "default"

// AccessPrivileged is the access level of a user who may do everything.
const AccessPrivileged = "privileged"

// Default ports of the gateway's documentation.
const (
	DefaultRestPort    = 5554
	DefaultPeeringPort = 16380
	DefaultMonitorPort = 26380
)

// Config is what a stand-in knows of its gateway's configuration.
type Config struct {
	// Users and Groups are the accounts of the default domain.
	Users  []User
	Groups []Group
	// Domains are the enabled domains; the default domain is the first.
	Domains []Domain
	// RestMgmt is the REST management interface. It is off unless the default domain switches it on.
	RestMgmt Listener
	// HTTPPorts are the ports of the default domain's HTTP handlers, such as the one that answers probes.
	HTTPPorts []int
	// HostAliases give names to addresses.
	HostAliases map[string]string
}

// User is an account.
type User struct {
	Name string
	// PasswordHash is a crypt(3) hash.
	PasswordHash string
	// AccessLevel is "privileged" or "group-defined"; Group names the group of the latter.
	AccessLevel, Group string
}

// Group gives rights to its users.
type Group struct {
	Name string
	// AccessPolicies read like "*/apiconnect/status/gateway-peering?Access=r+w".
	AccessPolicies []string
}

// Listener is a management interface.
type Listener struct {
	Enabled bool
	Address string
	Port    int
}

// Domain is an application domain.
type Domain struct {
	Name       string
	Peerings   []Peering
	PeerGroups []PeerGroup
}

// Peering is a GatewayPeering object.
type Peering struct {
	Name, Summary string
	Enabled       bool
	// LocalAddress is an address, a host alias, or empty.
	LocalAddress           string
	LocalPort, MonitorPort int
	EnablePeerGroup        bool
	// PeerGroup names a PeerGroup; else Peers are addresses or host names.
	PeerGroup string
	Peers     []string
	Priority  uint64
	EnableSSL bool
	// Others are settings that the stand-in shows and does not follow, by their command.
	Others map[string]string
}

// PeerGroup is a GatewayPeeringGroup object.
type PeerGroup struct {
	Name    string
	Enabled bool
	// Mode is "peer" or "cluster".
	Mode  string
	Peers []string
}

// Domain returns a domain by its name, nil when there is none.
func (c *Config) Domain(name string) *Domain {
	for i := range c.Domains {
		if c.Domains[i].Name == name {
			return &c.Domains[i]
		}
	}
	return nil
}

// User returns a user by name, nil when there is none.
func (c *Config) User(name string) *User {
	for i := range c.Users {
		if c.Users[i].Name == name {
			return &c.Users[i]
		}
	}
	return nil
}

// Group returns a group by name, nil when there is none.
func (c *Config) Group(name string) *Group {
	for i := range c.Groups {
		if c.Groups[i].Name == name {
			return &c.Groups[i]
		}
	}
	return nil
}

// Peering returns a peering by name, nil when there is none.
func (d *Domain) Peering(name string) *Peering {
	for i := range d.Peerings {
		if d.Peerings[i].Name == name {
			return &d.Peerings[i]
		}
	}
	return nil
}

// Members returns the configured members of a peering: of its group, when it has one, else its own.
func (d *Domain) Members(peering *Peering) []string {
	for _, group := range d.PeerGroups {
		if group.Name == peering.PeerGroup && group.Enabled {
			return group.Peers
		}
	}
	return peering.Peers
}

// upsert returns the element of that name, and appends it first when there is none.
func upsert[T any](list *[]T, name string, nameOf func(*T) *string, fresh T) *T {
	for i := range *list {
		if *nameOf(&(*list)[i]) == name {
			return &(*list)[i]
		}
	}
	*list = append(*list, fresh)
	added := &(*list)[len(*list)-1]
	*nameOf(added) = name
	return added
}

// remove deletes the element of that name.
func remove[T any](list *[]T, name string, nameOf func(*T) *string) {
	*list = slices.DeleteFunc(*list, func(element T) bool { return *nameOf(&element) == name })
}

func sortByName[T any](list []T, nameOf func(*T) *string) {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(*nameOf(&a), *nameOf(&b)) })
}

func userName(u *User) *string           { return &u.Name }
func groupName(g *Group) *string         { return &g.Name }
func domainName(d *Domain) *string       { return &d.Name }
func peeringName(p *Peering) *string     { return &p.Name }
func peerGroupName(g *PeerGroup) *string { return &g.Name }
