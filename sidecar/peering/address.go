package peering

import (
	"net/netip"
	"strings"
)

// parseAddress reads an IP address in any spelling that a gateway may use: expanded or in brackets, with a zone, with a
// port, or an IPv4 address as IPv6. It tells whether it is one.
func parseAddress(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), true
}

// parseLocal reads a peering's local address. A host alias is none, and neither is an address that stands for any.
func parseLocal(text string) netip.Addr {
	address, ok := parseAddress(text)
	if !ok || address.IsUnspecified() || address.IsLoopback() {
		return netip.Addr{}
	}
	return address
}

// texts returns addresses as strings, in the order of the addresses.
func texts(addresses []netip.Addr) []string {
	var written []string
	for _, address := range addresses {
		written = append(written, address.String())
	}
	return written
}
