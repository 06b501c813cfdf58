package main

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"
)

// Sizes of Grafana's grid, in pixels.
const (
	pageWidth  = 1400
	headHeight = 48
	cellHeight = 30
	margin     = 8
)

// palette are the colours of series that have none of their own, and names Grafana's of colours.
var (
	palette = []string{"#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300", "#447ebc", "#c15c17", "#890f02",
		"#0a437c", "#6d1f62", "#584477"}
	names = map[string]string{"green": "#56a64b", "red": "#e02f44", "orange": "#ff780a", "yellow": "#e0b400", "blue": "#3274d9", "purple": "#a352cc",
		"text": "#24292e", "gray": "#8e8e8e"}
)

//go:embed page.html
var pageText string

//go:embed draw.js
var drawScript string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is a dashboard as it is drawn.
type page struct {
	Title, Script, Library string
	Choices                []string
	Width, Height          int
	Boxes                  []box
	empty                  []string // titles of panels without data
}

// box is a panel as it is drawn: what fits its type is set.
type box struct {
	Type, Title              string
	Left, Top, Width, Height int
	Stats                    []stat
	Head                     []string
	Rows                     [][]string
	Lines                    []line
	Nothing                  string // what to say when there is nothing
	Chart                    *chart
}

type stat struct {
	Name, Text, Color string
	Size              int // of the text, in pixels
}

// line is a row of a timeline.
type line struct {
	Name  string
	Spans []span
}

// chart is what the script draws.
type chart struct {
	Times  []int64   `json:"times"`
	Places []float64 `json:"places"`
	Names  []string  `json:"names"`
	Series []series  `json:"series"`
	Stack  bool      `json:"stack"`
	Fill   int       `json:"fill"`  // percent
	Width  int       `json:"width"` // of lines, in pixels
}

type series struct {
	Name   string     `json:"name"`
	Color  string     `json:"color"`
	Points []*float64 `json:"points"` // nil where there is none
}

// lay evaluates the panels of a dashboard and lays them out.
func lay(ctx context.Context, s *source, d *dashboard, library string) (*page, error) {
	variables, err := s.values(ctx, d)
	if err != nil {
		return nil, err
	}
	out := &page{Title: d.Title, Width: pageWidth, Script: drawScript, Library: library}
	for _, v := range d.Templating.List {
		chosen := "All"
		if v.Type != "query" {
			chosen = variables[v.Name]
		}
		out.Choices = append(out.Choices, v.Label+": "+chosen)
	}
	out.Choices = append(out.Choices, fmt.Sprintf("%s to %s", s.from.UTC().Format(time.DateTime), s.to.UTC().Format(time.TimeOnly)))
	for i := range d.Panels {
		p := &d.Panels[i]
		b := place(p)
		if p.Type != "row" {
			answers, times, err := s.ask(ctx, p, variables, b.Width)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.Title, err)
			}
			if len(answers) == 0 {
				out.empty = append(out.empty, p.Title)
			}
			if err := b.fill(p, answers, times); err != nil {
				return nil, fmt.Errorf("%s: %w", p.Title, err)
			}
		}
		out.Height = max(out.Height, b.Top+b.Height+margin)
		out.Boxes = append(out.Boxes, b)
	}
	return out, nil
}

// place gives a panel its place on the page.
func place(p *panel) box {
	column := float64(pageWidth-margin) / 24
	return box{
		Type: p.Type, Title: p.Title, Nothing: cmp.Or(p.FieldConfig.Defaults.NoValue, "No data"),
		Left: margin + int(float64(p.GridPos.X)*column), Width: int(float64(p.GridPos.W)*column) - margin,
		Top: headHeight + p.GridPos.Y*(cellHeight+margin), Height: p.GridPos.H*(cellHeight+margin) - margin,
	}
}

func (b *box) fill(p *panel, answers []answer, times []int64) error {
	switch p.Type {
	case "stat":
		for _, a := range answers {
			f, err := p.FieldConfig.of(a.name)
			if err != nil {
				return err
			}
			one := stat{Name: a.name, Text: f.text(a.points[0]), Color: named(f.colorOf(a.points[0])), Size: 40}
			if p.Options.TextMode != "value_and_name" && (len(answers) == 1 || p.Options.TextMode == "value") {
				one.Name = ""
			}
			if p.Options.TextMode == "name" {
				one.Name, one.Text, one.Size = "", a.name, 20
			}
			if p.Options.ColorMode == "none" {
				one.Color = names["text"]
			}
			b.Stats = append(b.Stats, one)
		}
	case "table":
		var how organize
		for _, t := range p.Transformations {
			if t.ID != "organize" {
				return fmt.Errorf("the transformation %s is not known to this program", t.ID)
			}
			how = t.Options
		}
		b.Head, b.Rows = table(answers, how, p.FieldConfig.Defaults)
	case "state-timeline":
		for _, a := range answers {
			one := line{Name: a.name, Spans: spans(a.points, p.FieldConfig.Defaults)}
			for i := range one.Spans {
				one.Spans[i].Color = named(one.Spans[i].Color)
			}
			b.Lines = append(b.Lines, one)
		}
	case "timeseries":
		return b.draw(p, answers, times)
	default:
		return fmt.Errorf("panels of type %s are not known to this program", p.Type)
	}
	return nil
}

func (b *box) draw(p *panel, answers []answer, times []int64) error {
	custom := p.FieldConfig.Defaults.Custom
	b.Chart = &chart{Times: times, Stack: custom.Stacking.Mode == "normal", Fill: custom.FillOpacity, Width: custom.LineWidth}
	if b.Chart.Stack {
		stack(answers)
	}
	low, high := bounds(answers)
	b.Chart.Places, b.Chart.Names = ticks(p.FieldConfig.Defaults.Unit, low, high)
	for i, a := range answers {
		f, err := p.FieldConfig.of(a.name)
		if err != nil {
			return err
		}
		one := series{Name: a.name, Color: palette[i%len(palette)], Points: make([]*float64, len(a.points))}
		if f.Color.Mode == "fixed" {
			one.Color = named(f.Color.FixedColor)
		}
		for at, point := range a.points {
			if !math.IsNaN(point) && !math.IsInf(point, 0) {
				one.Points[at] = &point
			}
		}
		b.Chart.Series = append(b.Chart.Series, one)
	}
	return nil
}

func named(color string) string {
	if known, ok := names[color]; ok {
		return known
	}
	return color
}

func (p *page) write(w io.Writer) error {
	return pageTemplate.Execute(w, struct {
		*page
		Script, Library template.JS
	}{p, template.JS(p.Script), template.JS(p.Library)})
}
