package exposure

import (
	"encoding/json"
	"fmt"
)

// operation is one of RFC 6902.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// told is what a Component is told of an API: what the API's status says.
type told struct {
	URL         string
	DeveloperUI string
	Ready       bool
}

func tell(s Status) told {
	t := told{Ready: s.Ready != nil && *s.Ready}
	if s.APIStatus != nil {
		t.URL, t.DeveloperUI = s.APIStatus.URL, s.APIStatus.DeveloperUI
	}
	return t
}

// ComponentPatch brings the elements of a Component's status up to date that name APIs by their UIDs. Each change is bound to
// the element's UID, so that whoever changes the lists meanwhile loses nothing: the patch fails instead. Nil means that
// there is nothing to do.
func ComponentPatch(c *component, byUID map[string]told) ([]byte, error) {
	var operations []operation
	for _, list := range componentLists {
		for i, e := range c.lists[list] {
			if now, ours := byUID[e.UID]; ours && e.UID != "" {
				operations = append(operations, elementPatch(fmt.Sprintf("/status/%s/%d/", list, i), e, now)...)
			}
		}
	}
	if len(operations) == 0 {
		return nil, nil
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return nil, fmt.Errorf("encoding the patch of the Component: %w", err)
	}
	return patch, nil
}

func elementPatch(path string, e element, now told) []operation {
	var operations []operation
	for _, text := range []struct{ key, was, is string }{{"url", e.URL, now.URL}, {"developerUI", e.DeveloperUI, now.DeveloperUI}} {
		switch {
		case text.was == text.is:
		case text.is == "":
			operations = append(operations, operation{Op: "remove", Path: path + text.key})
		default:
			operations = append(operations, operation{Op: "add", Path: path + text.key, Value: text.is})
		}
	}
	if e.Ready != now.Ready {
		operations = append(operations, operation{Op: "add", Path: path + "ready", Value: now.Ready})
	}
	if len(operations) == 0 {
		return nil
	}
	return append([]operation{{Op: "test", Path: path + "uid", Value: e.UID}}, operations...)
}
