package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/datapower-operator/datapower-operator/test/gateway/peering"
)

// actionSave is an action that every gateway has.
const actionSave = "SaveConfig"

// pendingForget is how long the queue remembers an ended action.
const pendingForget = time.Minute

// queue holds the asynchronous actions of a gateway.
type queue struct {
	count   int
	pending map[string]pendingAction // by their id
}

// pendingAction is an accepted action. Its work is done when it is accepted; only its state takes its time.
type pendingAction struct {
	domain, name string
	ends         time.Time
	state        string
	text         string
}

// operations returns the actions that the gateway offers and what they do to one peering. SaveConfig does nothing to it.
func (i *Instance) operations() map[string]func(*peering.Member) error {
	settings, faults := i.options.Settings, i.Faults()
	offered := map[string]func(*peering.Member) error{actionSave: nil}
	if settings.ResetAction != NoAction && !faults.NoResetAction {
		offered[settings.ResetAction] = (*peering.Member).Reset
		if faults.LyingReset {
			offered[settings.ResetAction] = func(*peering.Member) error { return nil }
		}
	}
	if settings.SwitchPrimaryAction != "" {
		offered[settings.SwitchPrimaryAction] = (*peering.Member).SwitchPrimary
	}
	return offered
}

// actionQueue answers /mgmt/actionqueue/ and everything below.
func (c *call) actionQueue(self string) answer {
	if len(c.path) == 1 {
		links := linksOf(self, "")
		links["resource"] = link("/mgmt/actionqueue/{domain}")
		links["operations"] = link("/mgmt/actionqueue/{domain}/operations")
		links["schema"] = link("/mgmt/actionqueue/{domain}/operations/{operation}")
		links["metadata"] = link("/mgmt/metadata/{domain}/operations/{operation}")
		return answer{http.StatusOK, map[string]any{"_links": links}}
	}
	if !c.sees(c.path[1], accessExecute) {
		return notFound(self)
	}
	switch {
	case len(c.path) == 2 && c.method == http.MethodPost:
		return c.act(self)
	case c.method != http.MethodGet:
		return failure(http.StatusMethodNotAllowed, self, "Method not allowed.")
	case len(c.path) >= 3 && c.path[2] == "operations":
		return c.listOperations(self)
	case len(c.path) >= 3 && c.path[2] == "pending":
		return c.pendingActions(self)
	}
	return notFound(self)
}

func (c *call) listOperations(self string) answer {
	offered := c.operations()
	links := linksOf(self, "")
	for name := range offered {
		links[name] = map[string]any{
			"schema":   link("/mgmt/actionqueue/{domain}/operations/" + name),
			"metadata": link("/mgmt/metadata/{domain}/operations/" + name),
		}
	}
	if len(c.path) == 3 {
		return answer{http.StatusOK, map[string]any{"_links": links}}
	}
	if _, found := offered[c.path[3]]; !found || len(c.path) > 4 {
		return notFound(self)
	}
	return answer{http.StatusOK, map[string]any{"_links": linksOf(self, ""), "schema": map[string]any{"name": c.path[3]}}}
}

// act runs the action of a body.
func (c *call) act(self string) answer {
	var body map[string]json.RawMessage
	if json.Unmarshal(c.body, &body) != nil || len(body) != 1 {
		return failure(http.StatusBadRequest, self, "Bad request.", "The body must have exactly one action.")
	}
	var name string
	for name = range body {
		break
	}
	run, offered := c.operations()[name]
	if !offered {
		return failure(http.StatusBadRequest, self, "Bad request.", fmt.Sprintf("The action %q is not available.", name))
	}
	faults := c.Faults()
	fails := faults.AsyncActions && (faults.ActionState == "error" || faults.ActionState == "processed-with-errors")
	if !fails {
		if err := c.perform(name, run, body[name]); err != nil {
			return failure(http.StatusBadRequest, self, "Bad request.", err.Error())
		}
	}
	if faults.AsyncActions {
		return c.enqueue(self, name, faults)
	}
	return answer{http.StatusOK, map[string]any{
		"_links": linksOf(self, "/mgmt/docs/actionqueue"), name: "Operation completed.", "script-log": "",
	}}
}

// perform does what an action does, to the peering that its parameters name or, when they name none, to all of the domain.
func (c *call) perform(name string, run func(*peering.Member) error, parameters json.RawMessage) error {
	domain := c.path[1]
	c.mutex.Lock()
	if name == actionSave {
		c.unsaved[domain] = false
		c.mutex.Unlock()
		return nil
	}
	wanted := parameterName(parameters)
	members := map[string]*peering.Member{}
	for name, member := range c.members[domain] {
		if wanted == "" || wanted == name {
			members[name] = member
		}
	}
	c.mutex.Unlock()
	if len(members) == 0 {
		return fmt.Errorf("there is no gateway peering %q in domain %q", wanted, domain)
	}
	for named, member := range members {
		if name == c.options.Settings.ResetAction {
			c.options.BeforeReset(domain, named)
		}
		if err := run(member); err != nil {
			return err
		}
	}
	return nil
}

// parameterName finds the name of a peering in an action's parameters, under one of the names that such parameters have.
func parameterName(parameters json.RawMessage) string {
	var fields map[string]any
	if json.Unmarshal(parameters, &fields) != nil {
		return ""
	}
	for _, key := range []string{classPeering, "Name", "name", "Peering", "ConfigName"} {
		if name, is := fields[key].(string); is {
			return name
		}
	}
	return ""
}

// enqueue accepts an asynchronous action.
func (c *call) enqueue(self, name string, faults Faults) answer {
	now := c.host.clock.Now()
	state := faults.ActionState
	if state == "" {
		state = "completed"
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.queue.count++
	id := fmt.Sprintf("%s-%s-%d", name, now.UTC().Format("20060102T150405Z"), c.queue.count)
	action := pendingAction{domain: c.path[1], name: name, ends: now.Add(faults.ActionTime), state: state}
	if state == "error" || state == "processed-with-errors" {
		action.text = "The action could not be executed."
	}
	c.queue.pending[id] = action
	links := linksOf(self, "/mgmt/docs/actionqueue")
	links["location"] = link("/mgmt/actionqueue/" + url.PathEscape(c.path[1]) + "/pending/" + url.PathEscape(id))
	return answer{http.StatusAccepted, map[string]any{
		"_links": links, name: map[string]any{"status": "Action request accepted."},
	}}
}

// pendingActions answers /mgmt/actionqueue/{domain}/pending and the state of one action.
func (c *call) pendingActions(self string) answer {
	now := c.host.clock.Now()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var ids []string
	for id, action := range c.queue.pending {
		ended := !now.Before(action.ends)
		if ended && (action.state == actionGone || now.Sub(action.ends) > pendingForget) {
			delete(c.queue.pending, id)
		} else if action.domain == c.path[1] {
			ids = append(ids, id)
		}
	}
	if len(c.path) == 3 {
		slices.Sort(ids)
		var rows []any
		for _, id := range ids {
			action := c.queue.pending[id]
			rows = append(rows, map[string]any{
				"type": action.name, "status": action.stateAt(now), "location": link(self + "/" + url.PathEscape(id)),
			})
		}
		return listing(self, "", "operations", rows, "No status retrieved.")
	}
	if len(c.path) != 4 || !slices.Contains(ids, c.path[3]) {
		return notFound(self)
	}
	action := c.queue.pending[c.path[3]]
	body := map[string]any{"_links": linksOf(self, ""), "status": action.stateAt(now)}
	if action.text != "" && action.stateAt(now) == action.state {
		body["error"] = action.text
	}
	return answer{http.StatusOK, body}
}

func (a pendingAction) stateAt(now time.Time) string {
	if now.Before(a.ends) {
		return "started"
	}
	return a.state
}
