package datapower

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Classes and providers that this package reads.
const (
	classPeering    = "GatewayPeering"
	providerPeering = "GatewayPeeringStatus"
	providerVersion = "FirmwareVersion3"
	keyDomain       = "domain"
	fieldAdminState = "mAdminState"
	defaultDomain   = "default"
)

// AdminState is the administrative state of a configuration object.
type AdminState string

// The two administrative states.
const (
	Enabled  AdminState = "enabled"
	Disabled AdminState = "disabled"
)

// GatewayPeering is a configuration object of class GatewayPeering. Fields that this package has no use for are left out.
type GatewayPeering struct {
	// Domain and Name identify it.
	Domain, Name string
	// AdminState is what the configuration asks for.
	AdminState AdminState
	// OpState is what came of it, "up" or "down"; empty when the gateway does not tell.
	OpState string
	// LocalAddress is the address that other members know this one by: an IP address or a host alias of the gateway.
	LocalAddress string
	// LocalPort carries the data (default 16380), MonitorPort the supervision (default 26380). 0 when absent.
	LocalPort, MonitorPort uint16
	// EnablePeerGroup is false for a peering without peers, of which there is nothing to watch. Absent means true.
	EnablePeerGroup bool
	// PeerGroup is the name of a GatewayPeeringGroup (firmware 10.5 and later), or empty.
	PeerGroup string
	// Peers are the configured addresses or names of other members; empty with a PeerGroup.
	Peers []string
	// Priority decides who becomes primary: lower is preferred. 0 when absent.
	Priority uint64
}

// LinkUp is the link status of a member that is connected. A member that is not has "down".
const LinkUp = "ok"

// PeeringStatus is one row of the provider GatewayPeeringStatus: what a gateway knows about one member of one peering.
// The members include the gateway itself.
type PeeringStatus struct {
	// Address is the member's IP address.
	Address string
	// Name is the name of the peering object.
	Name string
	// PendingUpdates is the number of commands that the member has not taken yet.
	PendingUpdates uint64
	// ReplicationOffset grows with the data that the member has. Members with equal offsets have the same data.
	ReplicationOffset uint64
	// LinkStatus is LinkUp or "down", in the gateway's spelling.
	LinkStatus string
	// Primary tells whether the member is the primary of its peering.
	Primary bool
	// ServicePort, MonitorPort and Priority are nil when the firmware does not tell.
	ServicePort, MonitorPort *uint16
	Priority                 *uint64
}

// Up tells whether the member is connected.
func (s PeeringStatus) Up() bool { return strings.EqualFold(s.LinkStatus, LinkUp) }

// Domains returns the names of the application domains that the user may see, in the gateway's order.
func (c *Client) Domains(ctx context.Context) (names []string, err error) {
	defer c.observe("domains", &err)()
	fields, err := c.get(ctx, "/mgmt/domains/config/", keyDomain)
	if err != nil {
		return nil, fmt.Errorf("listing the domains: %w", err)
	}
	found, err := decodeRows[struct {
		Name text `json:"name"`
	}](fields, keyDomain)
	if err != nil {
		return nil, fmt.Errorf("listing the domains: %w", err)
	}
	for _, domain := range found {
		names = append(names, string(domain.Name))
	}
	return names, nil
}

// GatewayPeerings returns the peering objects of a domain, in the gateway's order. A domain without any gives none;
// [ErrNotFound] says that there is no such domain, or that the user may not see it or its peerings.
func (c *Client) GatewayPeerings(ctx context.Context, domain string) (peerings []GatewayPeering, err error) {
	defer c.observe("gateway-peerings", &err)()
	fields, err := c.get(ctx, resource("/mgmt/config", domain, classPeering)+"?state=1", classPeering)
	if err != nil {
		return nil, fmt.Errorf("reading the peerings of domain %s: %w", domain, err)
	}
	objects, err := decodeRows[peeringObject](fields, classPeering)
	if err != nil {
		return nil, fmt.Errorf("reading the peerings of domain %s: %w", domain, err)
	}
	for _, object := range objects {
		peerings = append(peerings, object.peering(domain))
	}
	return peerings, nil
}

// peeringObject is a GatewayPeering as the gateway writes it.
type peeringObject struct {
	Name            text       `json:"name"`
	AdminState      text       `json:"mAdminState"`
	State           stateField `json:"state"`
	LocalAddress    text       `json:"LocalAddress"`
	LocalPort       port       `json:"LocalPort"`
	MonitorPort     port       `json:"MonitorPort"`
	EnablePeerGroup *toggle    `json:"EnablePeerGroup"`
	PeerGroup       text       `json:"PeerGroup"`
	Peers           list[text] `json:"Peers"`
	Priority        number     `json:"Priority"`
}

// stateField is the operational state of an object, in an answer that was asked for it. An unknown form is no state: it
// is not worth losing the object.
type stateField struct{ OpState text }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *stateField) UnmarshalJSON(data []byte) error {
	var state struct {
		OpState text `json:"opstate"`
	}
	if json.Unmarshal(data, &state) == nil {
		s.OpState = state.OpState
	}
	return nil
}

func (o peeringObject) peering(domain string) GatewayPeering {
	peering := GatewayPeering{
		Domain: domain, Name: string(o.Name), AdminState: AdminState(o.AdminState), OpState: string(o.State.OpState),
		LocalAddress: string(o.LocalAddress), LocalPort: uint16(o.LocalPort), MonitorPort: uint16(o.MonitorPort),
		EnablePeerGroup: o.EnablePeerGroup == nil || bool(*o.EnablePeerGroup), PeerGroup: string(o.PeerGroup),
		Priority: uint64(o.Priority),
	}
	for _, peer := range o.Peers {
		peering.Peers = append(peering.Peers, string(peer))
	}
	return peering
}

// PeeringStatus returns the rows of all peerings of a domain, in the gateway's order. A domain without peerings, or with
// disabled ones only, gives none.
func (c *Client) PeeringStatus(ctx context.Context, domain string) (status []PeeringStatus, err error) {
	defer c.observe("peering-status", &err)()
	fields, err := c.get(ctx, resource("/mgmt/status", domain, providerPeering), providerPeering)
	if err != nil {
		return nil, fmt.Errorf("reading the peering status of domain %s: %w", domain, err)
	}
	if status, err = decodeStatus(fields); err != nil {
		return nil, fmt.Errorf("reading the peering status of domain %s: %w", domain, err)
	}
	return status, nil
}

// statusRow is a row of GatewayPeeringStatus as the gateway writes it.
type statusRow struct {
	Address           text    `json:"Address"`
	Name              text    `json:"Name"`
	PendingUpdates    number  `json:"PendingUpdates"`
	ReplicationOffset number  `json:"ReplicationOffset"`
	LinkStatus        text    `json:"LinkStatus"`
	Primary           toggle  `json:"Primary"`
	ServicePort       *port   `json:"ServicePort"`
	MonitorPort       *port   `json:"MonitorPort"`
	Priority          *number `json:"Priority"`
}

// decodeStatus decodes the rows of GatewayPeeringStatus. A row without address or name is malformed: nothing could be
// decided about it.
func decodeStatus(fields map[string]json.RawMessage) ([]PeeringStatus, error) {
	raw, err := decodeRows[statusRow](fields, providerPeering)
	if err != nil {
		return nil, err
	}
	status := make([]PeeringStatus, 0, len(raw))
	for i, row := range raw {
		if row.Address == "" || row.Name == "" {
			return nil, fmt.Errorf("%w: row %d of %s has no address or no name", ErrMalformed, i+1, providerPeering)
		}
		status = append(status, PeeringStatus{
			Address: string(row.Address), Name: string(row.Name), PendingUpdates: uint64(row.PendingUpdates),
			ReplicationOffset: uint64(row.ReplicationOffset), LinkStatus: string(row.LinkStatus),
			Primary: bool(row.Primary), ServicePort: (*uint16)(row.ServicePort), MonitorPort: (*uint16)(row.MonitorPort),
			Priority: (*uint64)(row.Priority),
		})
	}
	return status, nil
}

// SetAdminState sets the administrative state of a peering in the running configuration, and nothing else of it. It does
// not save the configuration, so a restarted gateway has the state of its configuration files.
//
// When it fails, the state may be set all the same: the request may have arrived and its answer not.
func (c *Client) SetAdminState(ctx context.Context, domain, peering string, state AdminState) (err error) {
	defer c.observe("set-admin-state", &err)()
	if state != Enabled && state != Disabled {
		return fmt.Errorf("%w: %q is no administrative state", ErrOptions, state)
	}
	body, err := json.Marshal(map[string]AdminState{fieldAdminState: state})
	if err != nil {
		return fmt.Errorf("encoding the administrative state: %w", err)
	}
	path := resource("/mgmt/config", domain, classPeering, peering, fieldAdminState)
	if _, _, err := c.request(ctx, c.reading, http.MethodPut, path, body); err != nil {
		return fmt.Errorf("setting peering %s of domain %s to %s: %w", peering, domain, state, err)
	}
	return nil
}

// Firmware tells which firmware a gateway runs, from the provider FirmwareVersion3.
type Firmware struct {
	// Version reads like "IDG.10.6.0.1" or "10.6.0.1"; the gateways differ.
	Version string
	// Build and BuildDate are empty when the gateway does not tell.
	Build, BuildDate string
}

// FirmwareVersion returns the gateway's firmware version.
func (c *Client) FirmwareVersion(ctx context.Context) (firmware Firmware, err error) {
	defer c.observe("firmware-version", &err)()
	fields, err := c.get(ctx, resource("/mgmt/status", defaultDomain, providerVersion), providerVersion)
	if err != nil {
		return Firmware{}, fmt.Errorf("reading the firmware version: %w", err)
	}
	found, err := decodeRows[struct{ Version, Build, BuildDate text }](fields, providerVersion)
	if err != nil {
		return Firmware{}, fmt.Errorf("reading the firmware version: %w", err)
	}
	if len(found) == 0 || found[0].Version == "" {
		return Firmware{}, fmt.Errorf("reading the firmware version: %w: it has none", ErrMalformed)
	}
	first := found[0]
	return Firmware{Version: string(first.Version), Build: string(first.Build), BuildDate: string(first.BuildDate)}, nil
}
