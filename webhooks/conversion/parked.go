package conversion

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// DataAnnotation carries what the version that an object is in cannot hold of the versions that it came from. It is
// gone again when the object is back in the version that holds everything. Its value is compact JSON:
//
//	{"v1beta3":[{"path":["spec","cryptoMode"],"value":"permissive"}]}
//
// For each version, "path" leads to a field; a step {"name":"a"} is the item of a list whose field name is a.
// "shown" is what the conversion left in the field, missing when it left nothing. "value" is what the field had,
// missing when it was absent. Only this package reads or writes the annotation.
const DataAnnotation = "datapower.ibm.com/conversion-data"

// annotationsLimit is the most that the annotations of an object may hold, keys and values together, in bytes
// (TotalAnnotationSizeLimitB of Kubernetes).
const annotationsLimit = 256 * 1024

// ErrTooLarge says that the other version can't hold the object: what it cannot express does not fit into the
// annotations. The error's text says how to go on.
var ErrTooLarge = errors.New("conversion data does not fit into the annotations")

// parked is the content of DataAnnotation: by version, what an object must get back when it is converted to it.
type parked map[string][]change

// parkedChange is the JSON form of a change.
type parkedChange struct {
	Path  []any           `json:"path"`
	Shown json.RawMessage `json:"shown,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

var errPath = errors.New("path is malformed")

// parse reads the annotation. Text that this package did not write carries nothing: a conversion must not fail for
// it, because then nobody could read the object and repair it.
func parse(text string) parked {
	var raw map[string][]parkedChange
	if text == "" || json.Unmarshal([]byte(text), &raw) != nil {
		return parked{}
	}
	p := parked{}
	for version, entries := range raw {
		for _, entry := range entries {
			if c, err := entry.change(); err == nil {
				p[version] = append(p[version], c)
			}
		}
	}
	return p
}

func (p parkedChange) change() (change, error) {
	c := change{}
	for _, element := range p.Path {
		switch e := element.(type) {
		case string:
			c.path = append(c.path, step{name: e})
		case map[string]any:
			for key, name := range e {
				text, _ := name.(string)
				c.path = append(c.path, step{key: key, name: text})
			}
		}
	}
	if len(c.path) == 0 || len(c.path) != len(p.Path) || c.path[len(c.path)-1].key != "" {
		return change{}, errPath
	}
	var errShown, errValue error
	c.shown, errShown = parseOptional(p.Shown)
	c.value, errValue = parseOptional(p.Value)
	return c, errors.Join(errShown, errValue)
}

func parseOptional(raw json.RawMessage) (optional, error) {
	if len(raw) == 0 {
		return optional{}, nil
	}
	// This decoder reads whole numbers as int64, as the one that reads the object.
	var value any
	if err := utiljson.Unmarshal(raw, &value); err != nil {
		return optional{}, fmt.Errorf("reading a parked value: %w", err)
	}
	return optional{value, true}, nil
}

// text is the annotation's value, empty when nothing is parked.
func (p parked) text() (string, error) {
	out := map[string][]parkedChange{}
	for version, changes := range p {
		for _, c := range changes {
			entry, err := c.parked()
			if err != nil {
				return "", err
			}
			out[version] = append(out[version], entry)
		}
	}
	if len(out) == 0 {
		return "", nil
	}
	return compact(out)
}

func (c change) parked() (parkedChange, error) {
	p := parkedChange{}
	for _, s := range c.path {
		if s.key == "" {
			p.Path = append(p.Path, s.name)
		} else {
			p.Path = append(p.Path, map[string]string{s.key: s.name})
		}
	}
	var errShown, errValue error
	p.Shown, errShown = c.shown.raw()
	p.Value, errValue = c.value.raw()
	return p, errors.Join(errShown, errValue)
}

func (o optional) raw() (json.RawMessage, error) {
	if !o.present {
		return nil, nil
	}
	text, err := compact(o.value)
	return json.RawMessage(text), err
}

// compact is JSON without white space and without escapes for HTML, which would only make it longer.
func compact(value any) (string, error) {
	out := &bytes.Buffer{}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("encoding JSON: %w", err)
	}
	return string(bytes.TrimRight(out.Bytes(), "\n")), nil
}

// withoutStatus is p without what belongs to the status of a version.
func (p parked) withoutStatus(version string) parked {
	out := parked{}
	for v, changes := range p {
		for _, c := range changes {
			if v != version || c.path[0].name != "status" {
				out[v] = append(out[v], c)
			}
		}
	}
	return out
}

// Waits tells whether the value of DataAnnotation holds something of v1beta3 at or below a field, which the version that
// the object is in therefore shows as absent or as something else.
func Waits(annotation string, path ...string) bool {
	return slices.ContainsFunc(parse(annotation)[hub], func(c change) bool {
		for i, name := range path {
			if i >= len(c.path) || c.path[i] != (step{name: name}) {
				return false
			}
		}
		return true
	})
}
