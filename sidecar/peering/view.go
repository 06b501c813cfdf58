package peering

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

// Key identifies a peering within a service. Domains may have peerings of the same name.
type Key struct{ Domain, Peering string }

// Target is a peering of one gateway.
type Target struct {
	PodUID types.UID
	Key    Key
}

// compare orders targets by pod, domain and name.
func (t Target) compare(other Target) int {
	return cmp.Or(cmp.Compare(t.PodUID, other.PodUID), t.Key.compare(other.Key))
}

// compare orders peerings by domain and name.
func (k Key) compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Domain, other.Domain), cmp.Compare(k.Peering, other.Peering))
}

// target returns what a reset is of.
func (r Reset) target() Target { return Target{r.PodUID, Key{r.Domain, r.Peering}} }

// View is what a gateway said at one look: its peerings with a peer group.
type View map[Key]Member

// Member is what a gateway says of one of its peerings.
type Member struct {
	// Local is the configured local address; invalid when that is no IP address.
	Local netip.Addr
	// Disabled says that the configuration has it disabled.
	Disabled bool
	// Rows are the members that it knows, itself included, one row per address, in the order of addresses.
	Rows []Row
	// Strange are addresses of rows that are no IP addresses.
	Strange []string
}

// Row is what a gateway says of a member.
type Row struct {
	Address     netip.Addr
	Up, Primary bool
}

// row returns the row of an address.
func (m Member) row(address netip.Addr) (Row, bool) {
	for _, row := range m.Rows {
		if row.Address == address {
			return row, true
		}
	}
	return Row{}, false
}

// own returns the row of the gateway itself, which its pod has the given address.
func (m Member) own(pod netip.Addr) (Row, bool) {
	if row, found := m.row(pod); found {
		return row, true
	}
	if m.Local.IsValid() {
		return m.row(m.Local)
	}
	return Row{}, false
}

// makeView makes the view of one domain of what the gateway answered about it. Rows of peerings without a peer group, and
// of peerings that the configuration does not have, are left out.
func makeView(domain string, objects []datapower.GatewayPeering, rows []datapower.PeeringStatus) View {
	view := View{}
	for _, object := range objects {
		if object.EnablePeerGroup && object.Name != "" {
			view[Key{domain, object.Name}] = Member{
				Local: parseLocal(object.LocalAddress), Disabled: object.AdminState == datapower.Disabled,
			}
		}
	}
	for _, row := range rows {
		key := Key{domain, row.Name}
		if member, known := view[key]; known {
			view[key] = member.with(row)
		}
	}
	for _, member := range view {
		slices.SortFunc(member.Rows, func(a, b Row) int { return a.Address.Compare(b.Address) })
	}
	return view
}

// with adds a row. Of several rows of one address, one that is up is enough.
func (m Member) with(status datapower.PeeringStatus) Member {
	address, ok := parseAddress(status.Address)
	if !ok {
		m.Strange = append(m.Strange, printable(status.Address))
		return m
	}
	for i := range m.Rows {
		if m.Rows[i].Address == address {
			m.Rows[i].Up = m.Rows[i].Up || status.Up()
			m.Rows[i].Primary = m.Rows[i].Primary || status.Primary
			return m
		}
	}
	m.Rows = append(m.Rows, Row{Address: address, Up: status.Up(), Primary: status.Primary})
	return m
}

// maxText bounds what of a gateway's text enters a message.
const maxText = 64

// printable makes a gateway's text fit for a message.
func printable(text string) string {
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
