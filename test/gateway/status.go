package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/datapower-operator/datapower-operator/test/gateway/config"
	"github.com/datapower-operator/datapower-operator/test/gateway/peering"
)

// Classes of status.
const (
	statusPeering  = "GatewayPeeringStatus"
	statusFirmware = "FirmwareVersion3"
	statusDomain   = "DomainStatus"
	statusObject   = "ObjectStatus"
	statusDateTime = "DateTimeStatus"
)

// statusProviders are the classes of status that the stand-in has.
var statusProviders = map[string]func(*call, string) []any{
	statusPeering: (*call).peeringStatus, statusFirmware: (*call).firmwareStatus, statusDomain: (*call).domainStatus,
	statusObject: (*call).objectStatus, statusDateTime: (*call).dateTimeStatus,
}

// statusResource answers /mgmt/status/ and /mgmt/status/{domain}/{class}.
func (c *call) statusResource(self string) answer {
	if len(c.path) == 1 {
		links := linksOf(self, "")
		for class := range statusProviders {
			links[class] = link("/mgmt/status/{domain}/" + class)
		}
		return answer{http.StatusOK, map[string]any{"_links": links}}
	}
	if len(c.path) != 3 || !c.sees(c.path[1], accessRead) {
		return notFound(self)
	}
	provider := statusProviders[c.path[2]]
	if provider == nil {
		return notFound(self)
	}
	if c.method != http.MethodGet {
		return failure(http.StatusMethodNotAllowed, self, "Method not allowed.")
	}
	return listing(self, "/mgmt/docs/status/"+c.path[2], c.path[2], provider(c, c.path[1]), "No status retrieved.")
}

func (c *call) peeringStatus(domain string) []any {
	c.mutex.Lock()
	members := make([]*peering.Member, 0, len(c.members[domain]))
	for _, member := range c.members[domain] {
		members = append(members, member)
	}
	c.mutex.Unlock()
	var all []peering.Row
	for _, member := range members {
		all = append(all, member.Rows()...)
	}
	slices.SortFunc(all, func(a, b peering.Row) int { return strings.Compare(a.Address+" "+a.Name, b.Address+" "+b.Name) })
	rows := make([]any, 0, len(all))
	for _, row := range all {
		rows = append(rows, c.peeringRow(row))
	}
	return rows
}

func (c *call) peeringRow(row peering.Row) map[string]any {
	fields := map[string]any{
		"Address": row.Address, "Name": row.Name, "PendingUpdates": row.Pending, "ReplicationOffset": row.Offset,
		"LinkStatus": word(row.Up, "ok", "down"), "Primary": word(row.Primary, "yes", "no"),
	}
	if c.options.Settings.PortsInStatus {
		fields["ServicePort"], fields["MonitorPort"], fields["Priority"] = row.Port, row.MonitorPort, row.Priority
	}
	return fields
}

func word(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

func onOff(on bool) string { return word(on, "on", "off") }

func (c *call) firmwareStatus(string) []any {
	return []any{map[string]any{
		"Serial": "0000000", "Version": c.options.Settings.Firmware, "Build": "stand-in", "BuildDate": "2026/11/20 00:00:00",
		"DeliveryType": "primary", "MachineType": "5725", "ModelType": "Docker",
	}}
}

func (c *call) domainStatus(string) []any {
	var rows []any
	for _, domain := range c.visibleDomains() {
		c.mutex.Lock()
		unsaved := c.unsaved[domain]
		c.mutex.Unlock()
		rows = append(rows, map[string]any{
			"Domain": domain, "SaveNeeded": onOff(unsaved), "TraceEnabled": "off", "DebugEnabled": "off", "ProbeEnabled": "off",
			"DiagEnabled": "off", "CurrentCommand": "", "QuiesceState": "", "InterfaceState": "ok", "FailsafeMode": "none",
		})
	}
	return rows
}

func (c *call) objectStatus(domain string) []any {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var rows []any
	for p := range c.config.Domain(domain).Peerings {
		object := &c.config.Domain(domain).Peerings[p]
		state := c.opState(domain, object)
		rows = append(rows, map[string]any{
			"Class": classPeering, "Name": object.Name, "AdminState": adminState(object), "OpState": state["opstate"],
			"EventCode": state["eventcode"], "ErrorCode": state["errorcode"], "ConfigState": word(c.unsaved[domain], "modified", "saved"),
		})
	}
	return rows
}

func adminState(object *config.Peering) string { return word(object.Enabled, "enabled", "disabled") }

// opState tells what came of a peering. Callers hold the mutex.
func (c *call) opState(domain string, object *config.Peering) map[string]any {
	reason, code := "", "0x00000000"
	if !object.Enabled {
		reason, code = "Object is disabled", "0x0034000d"
	} else if fault := c.fault(domain, object); fault != "" {
		reason, code = fault, "0x00b30002"
	}
	return map[string]any{
		"opstate": word(reason == "", "up", "down"), "adminstate": adminState(object), "eventcode": code, "errorcode": reason,
		"configstate": word(c.unsaved[domain], "modified", "saved"),
	}
}

func (c *call) dateTimeStatus(string) []any {
	now := c.host.clock.Now()
	return []any{map[string]any{
		"time": now.UTC().Format("Mon Jan 2 15:04:05 2006"), "timezone": "UTC", "tzspec": "UTC0",
		"uptime2": now.Sub(c.start).String(), "bootuptime2": now.Sub(c.start).String(),
	}}
}
