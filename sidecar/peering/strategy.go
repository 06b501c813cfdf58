package peering

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrAction says that the template of an action cannot be used.
var ErrAction = errors.New("invalid action template")

// Placeholders in the template of an action.
const (
	placeDomain  = "$(domain)"
	placePeering = "$(peering)"
)

// Action is an action of the gateway that may reset a peering.
type Action struct {
	// Name is what the gateway calls it.
	Name     string
	template string
}

// ParseAction reads the template of an action: the JSON object that is sent, whose only key is the action's name. In its
// strings $(domain) and $(peering) stand for the names of domain and peering. Errors wrap [ErrAction].
func ParseAction(template string) (Action, error) {
	action := Action{template: template}
	body := map[string]json.RawMessage{}
	if err := json.Unmarshal(action.Body(`a"\b`, `a"\b`), &body); err != nil || len(body) != 1 {
		return Action{}, fmt.Errorf("%w: it must be a JSON object with the action's name as the only key, like "+
			`{"Name":{"Parameter":"$(peering)"}}`, ErrAction)
	}
	for action.Name = range body {
		break
	}
	if action.Name == "" || strings.Contains(action.Name, "a\"\\b") {
		return Action{}, fmt.Errorf("%w: the action's name must be neither empty nor depend on the peering", ErrAction)
	}
	if !strings.Contains(template, placePeering) {
		return Action{}, fmt.Errorf("%w: %s is missing, so the action would concern every peering", ErrAction, placePeering)
	}
	return action, nil
}

// Body is what is sent to reset a peering.
func (a Action) Body(domain, peering string) json.RawMessage {
	return json.RawMessage(strings.NewReplacer(placeDomain, inString(domain), placePeering, inString(peering)).Replace(a.template))
}

// inString writes a text as the inside of a JSON string.
func inString(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil { // no string fails
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// candidates returns the actions that a gateway offers of those that may reset a peering: the configured ones in their
// order, then those whose name says that they remove stale peers or reset a peering. The web interface has "Remove stale
// peers" for each peering, and such actions are usually in the action queue.
func candidates(configured []Action, offered []string) []Action {
	var found []Action
	for _, action := range configured {
		if slices.Contains(offered, action.Name) {
			found = append(found, action)
		}
	}
	for _, name := range offered {
		known := slices.ContainsFunc(configured, func(action Action) bool { return action.Name == name })
		if !known && tellsReset(name) {
			found = append(found, Action{Name: name, template: `{"` + inString(name) + `":{"GatewayPeering":"` + placePeering + `"}}`})
		}
	}
	return found
}

// tellsReset tells whether an action's name says that it resets a peering. Flushing would delete the data.
func tellsReset(name string) bool {
	name = strings.ToLower(name)
	if strings.Contains(name, "flush") || strings.Contains(name, "$(") {
		return false
	}
	about := strings.Contains(name, "peering") && (strings.Contains(name, "reset") || strings.Contains(name, "stale"))
	return about || strings.Contains(name, "stalepeer")
}

// strategy is a way to reset one peering.
type strategy struct {
	name string
	// action is nil for the administrative state.
	action *Action
}

// choose returns the first strategy that was not used yet.
func choose(configured []Action, offered []string, used map[string]bool) (strategy, bool) {
	for _, action := range candidates(configured, offered) {
		if name := StrategyActionPrefix + action.Name; !used[name] {
			return strategy{name: name, action: &action}, true
		}
	}
	return strategy{name: StrategyAdminState}, !used[StrategyAdminState]
}

// offers returns the actions that a gateway offers in a domain, asking once per work.
func (r *run) offers(ctx context.Context, pod Pod, domain string) ([]string, error) {
	key := offerKey{sessionOf(pod), domain}
	if offered, known := r.offered[key]; known {
		return offered, nil
	}
	offered, err := r.gateways[key.session].Operations(ctx, domain)
	if err != nil && !isMissing(err) {
		return nil, err
	}
	r.offered[key] = offered
	return offered, nil
}

type offerKey struct {
	session session
	domain  string
}
