package datapower

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// States of an asynchronous action that end it. Every other state, "started" above all, means: ask again.
const (
	stateCompleted           = "completed"
	stateProcessed           = "processed"
	stateProcessedWithErrors = "processed-with-errors"
	stateError               = "error"
)

// ActionResult tells how a successful action ended.
type ActionResult struct {
	// Name is the action's name.
	Name string
	// Asynchronous tells whether the gateway took it into its queue and was asked for its end.
	Asynchronous bool
	// Message is the gateway's text about a synchronous action, such as "Operation completed.", or the result of an
	// asynchronous one. At most 256 characters; may be empty.
	Message string
}

// Operations returns the names of the actions that the gateway offers in a domain, sorted.
func (c *Client) Operations(ctx context.Context, domain string) (names []string, err error) {
	defer c.observe("operations", &err)()
	return c.operations(ctx, domain)
}

func (c *Client) operations(ctx context.Context, domain string) ([]string, error) {
	fields, err := c.get(ctx, resource("/mgmt/actionqueue", domain, "operations"), keyLinks)
	if err != nil {
		return nil, fmt.Errorf("listing the actions of domain %s: %w", domain, err)
	}
	var names []string
	err = eachField(fields[keyLinks], func(key string, _ json.RawMessage) error {
		if key != "self" && key != "doc" {
			names = append(names, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the actions of domain %s: %w", domain, err)
	}
	slices.Sort(names)
	return names, nil
}

// Action runs an action in a domain and returns when it has ended. The body is a JSON object whose only key is the
// action's name, for example {"SaveConfig": 0}; it is sent byte for byte, because the order of keys matters to some
// actions.
//
// Beside the reasons of every call, errors wrap [ErrUnsupported] when the gateway does not offer the action,
// [ErrActionFailed] when it ended in an error, [ErrActionPending] when it did not end in time.
func (c *Client) Action(ctx context.Context, domain string, body json.RawMessage) (result ActionResult, err error) {
	defer c.observe("action", &err)()
	name, err := actionName(body)
	if err != nil {
		return ActionResult{}, err
	}
	late := fmt.Errorf("%w: %s in domain %s", ErrActionPending, name, domain)
	bounded, cancel := context.WithTimeoutCause(ctx, c.options.ActionTimeout, late)
	defer cancel()
	result, err = c.run(bounded, domain, name, body)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return ActionResult{}, late
	}
	if err != nil {
		return ActionResult{}, fmt.Errorf("action %s in domain %s: %w", name, domain, err)
	}
	return result, nil
}

// actionName returns the only key of an action's body.
func actionName(body json.RawMessage) (string, error) {
	var names []string
	err := eachField(body, func(key string, _ json.RawMessage) error {
		names = append(names, key)
		return nil
	})
	if err != nil || len(names) != 1 || names[0] == "" {
		return "", fmt.Errorf("%w: the body of an action must be a JSON object with its name as the only key", ErrOptions)
	}
	return names[0], nil
}

// run sends an action and follows it to its end.
func (c *Client) run(ctx context.Context, domain, name string, body json.RawMessage) (ActionResult, error) {
	path := resource("/mgmt/actionqueue", domain)
	status, fields, err := c.request(ctx, c.changing, http.MethodPost, path, body, keyLinks, name)
	if err != nil {
		return ActionResult{}, c.explain(ctx, domain, name, err)
	}
	if status == http.StatusAccepted {
		return c.follow(ctx, name, fields[keyLinks])
	}
	return ActionResult{Name: name, Message: c.message(fields[name])}, nil
}

// explain finds out whether a refused action is one that the gateway does not offer. It says "Bad request." to those.
func (c *Client) explain(ctx context.Context, domain, name string, refusal error) error {
	var answered *APIError
	if !errors.As(refusal, &answered) || answered.Status != http.StatusBadRequest {
		return refusal
	}
	if offered, err := c.operations(ctx, domain); err == nil && !slices.Contains(offered, name) {
		return fmt.Errorf("%w: %w", ErrUnsupported, refusal)
	}
	return refusal
}

// follow asks for the state of an accepted action until it has ended. An action that the queue no longer knows has ended.
func (c *Client) follow(ctx context.Context, name string, links json.RawMessage) (ActionResult, error) {
	path, err := location(links)
	if err != nil {
		return ActionResult{}, err
	}
	for {
		fields, err := c.get(ctx, path, keyStatus)
		if errors.Is(err, ErrNotFound) {
			return ActionResult{Name: name, Asynchronous: true}, nil
		}
		if err != nil {
			return ActionResult{}, ended(err)
		}
		var state text
		if value, found := fields[keyStatus]; found {
			if err := json.Unmarshal(value, &state); err != nil {
				return ActionResult{}, malformed(err)
			}
		}
		switch state {
		case stateCompleted, stateProcessed:
			return ActionResult{Name: name, Asynchronous: true, Message: c.message(fields[keyResult])}, nil
		case stateProcessedWithErrors, stateError:
			return ActionResult{}, fmt.Errorf("%w: it ended as %q: %s", ErrActionFailed, state, c.message(fields[keyResult]))
		}
		select {
		case <-ctx.Done():
			return ActionResult{}, ctx.Err()
		case <-c.options.Clock.After(c.options.PollInterval):
		}
	}
}

// ended adds, to the error texts of an action's state, that it is the action which failed. Errors of the way there stay.
func ended(err error) error {
	var answered *APIError
	if errors.As(err, &answered) && answered.Status == http.StatusOK {
		return fmt.Errorf("%w: %w", ErrActionFailed, err)
	}
	return err
}

// location returns the path of an accepted action's state. Only the path counts, so that no answer can send the
// credentials elsewhere.
func location(links json.RawMessage) (string, error) {
	var decoded struct {
		Location struct {
			Href text `json:"href"`
		} `json:"location"`
	}
	if len(links) == 0 || json.Unmarshal(links, &decoded) != nil {
		return "", fmt.Errorf("%w: the accepted action has no location", ErrMalformed)
	}
	parsed, err := url.Parse(string(decoded.Location.Href))
	if err != nil || !strings.HasPrefix(parsed.Path, "/mgmt/actionqueue/") {
		return "", fmt.Errorf("%w: the location of the accepted action is not in the action queue", ErrMalformed)
	}
	return parsed.EscapedPath(), nil
}

// message makes a short text of a value, of the strings inside it.
func (c *Client) message(value json.RawMessage) string {
	whole := strings.Join(textsIn(value), " ")
	return strings.Join(clean([]string{whole}, c.secrets...), "")
}
