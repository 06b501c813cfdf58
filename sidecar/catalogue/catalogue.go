// Package catalogue reads what the chart knows of DataPower's versions,
// channels and licences. The chart's values.yaml is the one source of this
// data (key "catalogue"); the sidecar reads the same file as plain YAML, so it
// needs no Helm and can say nothing that the chart would not render.
package catalogue

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"sigs.k8s.io/yaml"
)

// licenseTerms is where IBM publishes the text of a licence: the licence ID
// is appended.
const licenseTerms = "https://www.ibm.com/support/customer/csol/terms/?id="

var (
	// ErrNoCatalogue is returned when a values file has no key "catalogue".
	ErrNoCatalogue = errors.New("no catalogue in the chart's values")
	// ErrMalformed is returned when a values file is no YAML or its catalogue
	// has another shape than this package knows.
	ErrMalformed = errors.New("malformed catalogue")
)

// Catalogue is what is known of versions and licences. It is read-only after
// [Parse]. The zero value knows nothing and is ready to use.
type Catalogue struct {
	channels map[string]channel
	versions map[string]version
	licenses map[string]license
	aliases  map[string]string
}

// The shapes of values.yaml. Unknown keys are the chart's own affair.
type (
	channel struct {
		Version string `json:"version"`
	}
	version struct {
		Licenses []string `json:"licenses"`
	}
	license struct {
		DisplayName string   `json:"displayName"`
		Link        string   `json:"link"`
		Uses        []string `json:"uses"`
	}
)

// License is one licence that the catalogue knows.
type License struct {
	// ID is what users write in spec.license.license.
	ID string
	// DisplayName is for humans; empty when the catalogue has none.
	DisplayName string
	// Link leads to the licence's text.
	Link string
	// Uses are the values of spec.license.use that it covers; empty means
	// that the catalogue does not know.
	Uses []string
}

// Covers tells whether the licence is known to cover a value of
// spec.license.use.
func (l License) Covers(use string) bool { return slices.Contains(l.Uses, use) }

// Load reads the catalogue from the values file of the chart at path. It
// fails with [ErrNoCatalogue], [ErrMalformed] or the error of the file system.
func Load(path string) (*Catalogue, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the chart's values: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}

// Parse reads the catalogue from the text of a chart's values.yaml. It fails
// with [ErrNoCatalogue] or [ErrMalformed].
func Parse(values []byte) (*Catalogue, error) {
	var file struct {
		Catalogue *struct {
			Channels map[string]channel `json:"channels"`
			Versions map[string]version `json:"versions"`
			Licenses map[string]license `json:"licenses"`
			Aliases  map[string]string  `json:"aliases"`
		} `json:"catalogue"`
	}
	if err := yaml.Unmarshal(values, &file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if file.Catalogue == nil {
		return nil, ErrNoCatalogue
	}
	return &Catalogue{
		channels: file.Catalogue.Channels,
		versions: file.Catalogue.Versions,
		licenses: file.Catalogue.Licenses,
		aliases:  file.Catalogue.Aliases,
	}, nil
}

// Channels are the names of the known channels, oldest first; old names that
// are mere aliases are left out.
func (c *Catalogue) Channels() []string { return names(c.channels) }

// Versions are the known exact versions, oldest first.
func (c *Catalogue) Versions() []string { return names(c.versions) }

// Resolve turns what users write in spec.version, an exact version, a channel
// or an old channel's name, into an exact version. known is false when the
// catalogue has no entry; the name then comes back as it was.
func (c *Catalogue) Resolve(name string) (exact string, known bool) {
	if current, renamed := c.aliases[name]; renamed {
		name = current
	}
	if channel, ok := c.channels[name]; ok {
		return channel.Version, true
	}
	_, known = c.versions[name]
	return name, known
}

// License returns what is known of the licence with this ID.
func (c *Catalogue) License(id string) (License, bool) {
	entry, known := c.licenses[id]
	if !known {
		return License{}, false
	}
	link := entry.Link
	if link == "" {
		link = licenseTerms + id
	}
	return License{ID: id, DisplayName: entry.DisplayName, Link: link, Uses: entry.Uses}, true
}

// LicenseUses are the values of spec.license.use that a licence covers; empty
// means that the catalogue does not know. known is false when it has no such
// licence.
func (c *Catalogue) LicenseUses(id string) (uses []string, known bool) {
	entry, known := c.licenses[id]
	return entry.Uses, known
}

// LicensesOf are the IDs of the licences under which a version, named as for
// [Catalogue.Resolve], may be used, in the catalogue's order; empty means that
// the catalogue does not know.
func (c *Catalogue) LicensesOf(name string) []string {
	exact, _ := c.Resolve(name)
	return c.versions[exact].Licenses
}

func names[V any](entries map[string]V) []string {
	found := make([]string, 0, len(entries))
	for name := range entries {
		found = append(found, name)
	}
	slices.SortFunc(found, compareVersions)
	return found
}
