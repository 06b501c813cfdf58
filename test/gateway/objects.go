package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/datapower-operator/datapower-operator/test/gateway/config"
)

// Classes of configuration.
const (
	classPeering   = "GatewayPeering"
	classPeerGroup = "GatewayPeeringGroup"
	classDomain    = "Domain"
	classUser      = "User"
	classRestMgmt  = "RestMgmtInterface"
)

// configClasses are the classes of configuration that the stand-in has: how to read all objects of a domain. Callers of
// the functions hold the mutex.
var configClasses = map[string]func(*call, string) []map[string]any{
	classPeering: (*call).peeringObjects, classPeerGroup: (*call).peerGroupObjects, classDomain: (*call).domainObjects,
	classUser: (*call).userObjects, classRestMgmt: (*call).restMgmtObjects,
}

// configResource answers /mgmt/config/ and everything below: the classes of a domain, their objects, their fields.
func (c *call) configResource(self string) answer {
	if len(c.path) == 1 {
		links := linksOf(self, "")
		for class := range configClasses {
			links[class] = link("/mgmt/config/{domain}/" + class)
		}
		return answer{http.StatusOK, map[string]any{"_links": links}}
	}
	if len(c.path) < 3 || len(c.path) > 5 || !c.sees(c.path[1], accessRead) || configClasses[c.path[2]] == nil {
		return notFound(self)
	}
	if c.method != http.MethodGet {
		return c.change(self)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	objects := configClasses[c.path[2]](c, c.path[1])
	doc := "/mgmt/docs/config/" + c.path[2]
	rows := make([]any, 0, len(objects))
	for _, object := range objects {
		if len(c.path) > 3 && object["name"] != c.path[3] {
			continue
		}
		object["_links"] = linksOf("/mgmt/config/"+c.path[1]+"/"+c.path[2]+"/"+url.PathEscape(fmt.Sprint(object["name"])), doc)
		if len(c.path) == 5 {
			value, found := object[c.path[4]]
			if !found {
				return notFound(self)
			}
			return answer{http.StatusOK, map[string]any{"_links": linksOf(self, doc), c.path[4]: value}}
		}
		rows = append(rows, object)
	}
	if len(c.path) > 3 && len(rows) == 0 {
		return notFound(self)
	}
	return listing(self, doc, c.path[2], rows, "No configuration retrieved.")
}

func (c *call) peeringObjects(domain string) []map[string]any {
	var objects []map[string]any
	for p := range c.config.Domain(domain).Peerings {
		peering := &c.config.Domain(domain).Peerings[p]
		object := map[string]any{
			"name": peering.Name, "mAdminState": adminState(peering), "LocalAddress": peering.LocalAddress,
			"LocalPort": peering.LocalPort, "MonitorPort": peering.MonitorPort, "EnablePeerGroup": onOff(peering.EnablePeerGroup),
			"Priority": peering.Priority, "EnableSSL": onOff(peering.EnableSSL),
		}
		if peering.Summary != "" {
			object["UserSummary"] = peering.Summary
		}
		if peering.PeerGroup != "" {
			object["PeerGroup"] = reference(domain, classPeerGroup, peering.PeerGroup)
		}
		if len(peering.Peers) > 0 {
			object["Peers"] = oneOrAll(peering.Peers)
		}
		for command, value := range peering.Others {
			object[attribute(command)] = value
		}
		if c.query.Get("state") == "1" {
			object["state"] = c.opState(domain, peering)
		}
		objects = append(objects, object)
	}
	return objects
}

// attribute turns a command into the name of its attribute: max-memory is MaxMemory.
func attribute(command string) string {
	if command == "persistence" {
		return "PersistenceLocation"
	}
	name := ""
	for part := range strings.SplitSeq(command, "-") {
		if part != "" {
			name += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return name
}

// oneOrAll is a single value where there is one, as everywhere in this interface.
func oneOrAll(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return values
}

func reference(domain, class, name string) map[string]any {
	return map[string]any{"value": name, "href": "/mgmt/config/" + domain + "/" + class + "/" + url.PathEscape(name)}
}

func (c *call) peerGroupObjects(domain string) []map[string]any {
	var objects []map[string]any
	for _, group := range c.config.Domain(domain).PeerGroups {
		objects = append(objects, map[string]any{
			"name": group.Name, "mAdminState": word(group.Enabled, "enabled", "disabled"), "Mode": group.Mode, "Peers": group.Peers,
		})
	}
	return objects
}

func (c *call) domainObjects(domain string) []map[string]any {
	var objects []map[string]any
	for _, known := range c.config.Domains {
		if domain == config.DefaultDomain && c.rights.in(known.Name, accessRead) {
			objects = append(objects, map[string]any{"name": known.Name, "mAdminState": "enabled", "ConfigMode": "local"})
		}
	}
	return objects
}

func (c *call) userObjects(domain string) []map[string]any {
	var objects []map[string]any
	for _, user := range c.config.Users {
		if domain != config.DefaultDomain {
			break
		}
		object := map[string]any{"name": user.Name, "mAdminState": "enabled", "AccessLevel": user.AccessLevel}
		if user.Group != "" {
			object["GroupName"] = reference(config.DefaultDomain, "UserGroup", user.Group)
		}
		objects = append(objects, object)
	}
	return objects
}

func (c *call) restMgmtObjects(domain string) []map[string]any {
	if domain != config.DefaultDomain {
		return nil
	}
	rest := c.config.RestMgmt
	return []map[string]any{{
		"name": "RestMgmt-Settings", "mAdminState": word(rest.Enabled, "enabled", "disabled"), "LocalPort": rest.Port,
		"LocalAddress": rest.Address, "SSLConfigType": "server",
	}}
}

// change answers PUT, POST and DELETE, which only peerings have here.
func (c *call) change(self string) answer {
	access := map[string]byte{http.MethodPut: accessWrite, http.MethodPost: accessAdd, http.MethodDelete: accessDelete}[c.method]
	switch {
	case access == 0 || c.path[2] != classPeering:
		return failure(http.StatusMethodNotAllowed, self, "Method not allowed.")
	case !c.sees(c.path[1], access):
		return notFound(self)
	case c.Faults().RefuseWrites:
		return failure(http.StatusBadRequest, self, "Bad request.", "The configuration cannot be changed.")
	}
	switch {
	case c.method == http.MethodPost && len(c.path) == 3:
		return c.create(self)
	case c.method == http.MethodPut && len(c.path) == 4:
		return c.put(self, classPeering, c.path[3], "Configuration was updated.")
	case c.method == http.MethodPut && len(c.path) == 5:
		return c.put(self, "", c.path[4], "Property was updated.")
	case c.method == http.MethodDelete && len(c.path) == 4:
		return c.remove(self)
	}
	return failure(http.StatusMethodNotAllowed, self, "Method not allowed.")
}

// put changes fields of a peering: those under the key, or those of the body itself when there is no key.
func (c *call) put(self, key, named, done string) answer {
	var body map[string]json.RawMessage
	err := json.Unmarshal(c.body, &body)
	if err == nil && key != "" {
		content := body[key]
		body = nil
		err = json.Unmarshal(content, &body)
	}
	if err != nil {
		return failure(http.StatusBadRequest, self, "Bad request.", "The body is not of the form of the resource.")
	}
	if key == "" && (len(body) != 1 || body[named] == nil) {
		return failure(http.StatusBadRequest, self, "Bad request.", "The body must have the property "+named+" and no other.")
	}
	found, err := c.apply(c.path[1], c.path[3], body)
	switch {
	case !found:
		return notFound(self)
	case err != nil:
		return failure(http.StatusBadRequest, self, "Bad request.", err.Error())
	}
	return answer{http.StatusOK, map[string]any{"_links": linksOf(self, "/mgmt/docs/config/"+classPeering), named: done}}
}

// apply gives fields to a peering and does what follows from them.
func (c *call) apply(domain, name string, fields map[string]json.RawMessage) (found bool, err error) {
	if string(fields["mAdminState"]) == `"disabled"` {
		c.options.BeforeReset(domain, name)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	object := c.config.Domain(domain).Peering(name)
	if object == nil {
		return false, nil
	}
	changed := *object
	for field, raw := range fields {
		if err := setField(&changed, field, raw); err != nil {
			return true, err
		}
	}
	wasEnabled := object.Enabled
	*object = changed
	c.unsaved[domain] = true
	member := c.members[domain][name]
	switch {
	case wasEnabled == changed.Enabled:
	case c.Instance.faults.LyingReset && member != nil: // says so, and goes on as before
	case !changed.Enabled:
		member.Disable()
	case c.fault(domain, object) == "":
		member.Enable()
	}
	return true, nil
}

// setField sets one attribute of a peering.
func setField(object *config.Peering, field string, raw json.RawMessage) error {
	var value string
	if json.Unmarshal(raw, &value) != nil {
		value = string(raw) // a number
	}
	switch field {
	case "name":
		if value != object.Name {
			return fmt.Errorf("the name is %q", object.Name)
		}
	case "mAdminState":
		if value != "enabled" && value != "disabled" {
			return fmt.Errorf("invalid value for mAdminState")
		}
		object.Enabled = value == "enabled"
	case "UserSummary":
		object.Summary = value
	case "Priority":
		priority, err := strconv.ParseUint(value, 10, 8)
		if err != nil {
			return fmt.Errorf("invalid value for Priority")
		}
		object.Priority = priority
	default:
		return fmt.Errorf("the stand-in cannot change %s", field)
	}
	return nil
}

// create makes a peering that has a name and defaults, and the fields that can be changed.
func (c *call) create(self string) answer {
	var body struct {
		GatewayPeering map[string]json.RawMessage
	}
	var name string
	if json.Unmarshal(c.body, &body) != nil || json.Unmarshal(body.GatewayPeering["name"], &name) != nil || name == "" {
		return failure(http.StatusBadRequest, self, "Bad request.", "The body must have an object GatewayPeering with a name.")
	}
	c.mutex.Lock()
	domain := c.config.Domain(c.path[1])
	if domain.Peering(name) != nil {
		c.mutex.Unlock()
		return failure(http.StatusConflict, self, "Resource already exists.")
	}
	domain.Peerings = append(domain.Peerings, config.Peering{
		Name: name, LocalPort: config.DefaultPeeringPort, MonitorPort: config.DefaultMonitorPort, EnablePeerGroup: true, Priority: 100,
	})
	c.startPeering(domain, domain.Peering(name))
	c.mutex.Unlock()
	if _, err := c.apply(domain.Name, name, body.GatewayPeering); err != nil {
		c.drop(domain.Name, name)
		return failure(http.StatusBadRequest, self, "Bad request.", err.Error())
	}
	return answer{http.StatusCreated, map[string]any{
		"_links": linksOf(self, "/mgmt/docs/config/"+classPeering), name: "Configuration was created.",
	}}
}

func (c *call) remove(self string) answer {
	if !c.drop(c.path[1], c.path[3]) {
		return notFound(self)
	}
	return answer{http.StatusOK, map[string]any{"_links": linksOf(self, ""), c.path[3]: "Configuration was deleted."}}
}

// drop deletes a peering. It tells whether there was one.
func (c *call) drop(domain, name string) bool {
	c.mutex.Lock()
	known := c.config.Domain(domain)
	object := known.Peering(name)
	if object == nil {
		c.mutex.Unlock()
		return false
	}
	member := c.members[domain][name]
	delete(c.members[domain], name)
	known.Peerings = slices.DeleteFunc(known.Peerings, func(p config.Peering) bool { return p.Name == name })
	c.unsaved[domain] = true
	c.mutex.Unlock()
	member.Disable()
	member.Close()
	return true
}
