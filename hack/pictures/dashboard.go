package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// dashboard is what is read of a Grafana dashboard's JSON.
type dashboard struct {
	UID        string  `json:"uid"`
	Title      string  `json:"title"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

// variable is a choice at the top of a dashboard.
type variable struct {
	Name       string `json:"name"`
	Label      string `json:"label"`
	Type       string `json:"type"` // datasource or query
	AllValue   string `json:"allValue"`
	Definition string `json:"definition"`
}

type panel struct {
	Type        string      `json:"type"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	GridPos     gridPos     `json:"gridPos"`
	Targets     []target    `json:"targets"`
	FieldConfig fieldConfig `json:"fieldConfig"`
	Options     struct {
		ColorMode string `json:"colorMode"`
		TextMode  string `json:"textMode"`
	} `json:"options"`
	Transformations []struct {
		ID      string   `json:"id"`
		Options organize `json:"options"`
	} `json:"transformations"`
}

// gridPos is a place on the grid of 24 columns.
type gridPos struct{ X, Y, W, H int }

type target struct {
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	Instant      bool   `json:"instant"`
}

// organize says which columns a table has and how they are called.
type organize struct {
	Exclude map[string]bool   `json:"excludeByName"`
	Index   map[string]int    `json:"indexByName"`
	Rename  map[string]string `json:"renameByName"`
}

type fieldConfig struct {
	Defaults  field      `json:"defaults"`
	Overrides []override `json:"overrides"`
}

// field says how values are shown.
type field struct {
	Unit       string `json:"unit"`
	NoValue    string `json:"noValue"`
	Thresholds struct {
		Steps []threshold `json:"steps"`
	} `json:"thresholds"`
	Color    colorChoice `json:"color"`
	Mappings []mapping   `json:"mappings"`
	Custom   struct {
		FillOpacity int `json:"fillOpacity"`
		LineWidth   int `json:"lineWidth"`
		Stacking    struct {
			Mode string `json:"mode"`
		} `json:"stacking"`
	} `json:"custom"`
}

type threshold struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"` // nil: from minus infinity
}

// colorChoice is fixed, or left to the thresholds or the palette.
type colorChoice struct {
	Mode       string `json:"mode"`
	FixedColor string `json:"fixedColor"`
}

// mapping shows single values as texts.
type mapping struct {
	Options map[string]struct {
		Text  string `json:"text"`
		Color string `json:"color"`
	} `json:"options"`
}

// override changes how one series is shown.
type override struct {
	Matcher struct {
		ID      string `json:"id"`
		Options string `json:"options"`
	} `json:"matcher"`
	Properties []struct {
		ID    string          `json:"id"`
		Value json.RawMessage `json:"value"`
	} `json:"properties"`
}

// defaultThresholds are Grafana's, for panels without thresholds of their own.
func defaultThresholds() []threshold {
	eighty := 80.0
	return []threshold{{Color: "green"}, {Color: "red", Value: &eighty}}
}

func readDashboard(path string) (*dashboard, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range d.Panels {
		if p := &d.Panels[i]; len(p.FieldConfig.Defaults.Thresholds.Steps) == 0 {
			p.FieldConfig.Defaults.Thresholds.Steps = defaultThresholds()
		}
	}
	return &d, nil
}

// of returns how the series of a name is shown. It knows the matchers byName and byRegexp and the properties color, unit and
// thresholds.
func (c fieldConfig) of(name string) (field, error) {
	f := c.Defaults
	for _, o := range c.Overrides {
		matches := o.Matcher.ID == "byName" && o.Matcher.Options == name
		if o.Matcher.ID == "byRegexp" {
			expression, err := regexp.Compile(strings.Trim(o.Matcher.Options, "/"))
			if err != nil {
				return f, fmt.Errorf("override: %w", err)
			}
			matches = expression.MatchString(name)
		}
		if !matches {
			continue
		}
		for _, p := range o.Properties {
			into, known := map[string]any{"color": &f.Color, "unit": &f.Unit, "thresholds": &f.Thresholds}[p.ID]
			if !known {
				return f, fmt.Errorf("override of %s: the property %s is not known to this program", name, p.ID)
			}
			if err := json.Unmarshal(p.Value, into); err != nil {
				return f, fmt.Errorf("override of %s: %w", name, err)
			}
		}
	}
	return f, nil
}

// colorOf is the color of a value: that of a mapping, a fixed one, or that of the highest threshold that it reaches.
func (f field) colorOf(value float64) string {
	for _, m := range f.Mappings {
		if o, mapped := m.Options[fmt.Sprint(value)]; mapped && o.Color != "" {
			return o.Color
		}
	}
	if f.Color.Mode == "fixed" {
		return f.Color.FixedColor
	}
	found := "text"
	for _, step := range f.Thresholds.Steps {
		if step.Value == nil || value >= *step.Value {
			found = step.Color
		}
	}
	return found
}

// text is how a value is shown.
func (f field) text(value float64) string {
	for _, m := range f.Mappings {
		if o, mapped := m.Options[fmt.Sprint(value)]; mapped && o.Text != "" {
			return o.Text
		}
	}
	return format(f.Unit, value)
}

var labelValues = regexp.MustCompile(`^label_values\((.+), *(\w+)\)$`)

// labelQuery returns what a variable asks for: the values of a label of some series.
func (v variable) labelQuery() (series, label string, err error) {
	found := labelValues.FindStringSubmatch(v.Definition)
	if found == nil {
		return "", "", fmt.Errorf("variable %s: %q is no label_values(series, label)", v.Name, v.Definition)
	}
	return found[1], found[2], nil
}

// all is the choice "All" of a variable in a regular expression.
func (v variable) all(values []string) string {
	if v.AllValue != "" {
		return v.AllValue
	}
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = strings.ReplaceAll(regexp.QuoteMeta(value), `\`, `\\`)
	}
	return "(" + strings.Join(quoted, "|") + ")"
}

var reference = regexp.MustCompile(`\$(\w+)|\$\{(\w+)\}`)

// interpolate puts the values of variables into an expression.
func interpolate(expr string, values map[string]string) (string, error) {
	var unknown []string
	out := reference.ReplaceAllStringFunc(expr, func(match string) string {
		name := strings.Trim(match, "${}")
		value, ok := values[name]
		if !ok {
			unknown = append(unknown, name)
		}
		return value
	})
	if unknown != nil {
		return "", fmt.Errorf("unknown variables in %s: %s", expr, strings.Join(unknown, ", "))
	}
	return out, nil
}

// steps are the distances between points that Grafana takes.
var steps = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour}

// intervals are $__interval, for which there is at most a point for a pixel and for a scrape, and $__rate_interval, which
// always has the samples that a rate needs.
func intervals(shown, scrape time.Duration, pixels int) (interval, rate time.Duration) {
	least := max(shown/time.Duration(pixels), scrape)
	at := slices.IndexFunc(steps, func(step time.Duration) bool { return step >= least })
	if at < 0 {
		at = len(steps) - 1
	}
	return steps[at], max(steps[at]+scrape, 4*scrape)
}

var legendLabel = regexp.MustCompile(`\{\{ *(\w+) *\}\}`)

// legend is the name of a series.
func legend(format string, labels map[string]string) string {
	if format != "" {
		return legendLabel.ReplaceAllStringFunc(format, func(match string) string { return labels[strings.Trim(match, "{} ")] })
	}
	parts := make([]string, 0, len(labels))
	for name, value := range labels {
		parts = append(parts, fmt.Sprintf("%s=%q", name, value))
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}
