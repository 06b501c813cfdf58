package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// source is a Prometheus, and the span of time that is shown.
type source struct {
	api    v1.API
	scrape time.Duration // how often it scrapes
	from   time.Time
	to     time.Time
}

// answer is what a query gave: points for each step, NaN where there is none; one point of an instant query.
type answer struct {
	name   string
	labels map[string]string
	points []float64
}

// values are the values of a dashboard's variables, all of which are set to "All".
func (s *source) values(ctx context.Context, d *dashboard) (map[string]string, error) {
	values := map[string]string{}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			values[v.Name] = "Prometheus"
			continue
		}
		series, label, err := v.labelQuery()
		if err != nil {
			return nil, err
		}
		found, _, err := s.api.LabelValues(ctx, label, []string{series}, s.from, s.to)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("variable %s: no value", v.Name)
		}
		texts := make([]string, len(found))
		for i, value := range found {
			texts[i] = string(value)
		}
		values[v.Name] = v.all(texts)
	}
	return values, nil
}

// ask evaluates the queries of a panel that is so many pixels wide. The times are those of the points of queries over time.
func (s *source) ask(ctx context.Context, p *panel, variables map[string]string, pixels int) (answers []answer, times []int64, err error) {
	step, rate := intervals(s.to.Sub(s.from), s.scrape, pixels)
	values := map[string]string{"__interval": seconds(step), "__rate_interval": seconds(rate), "__range": seconds(s.to.Sub(s.from))}
	for name, value := range variables {
		values[name] = value
	}
	from, to := s.from.Truncate(step), s.to.Truncate(step)
	for at := from; !at.After(to); at = at.Add(step) {
		times = append(times, at.Unix())
	}
	for _, t := range p.Targets {
		expr, err := interpolate(t.Expr, values)
		if err != nil {
			return nil, nil, err
		}
		var found []answer
		if t.Instant {
			found, err = s.instant(ctx, expr)
		} else {
			found, err = s.overTime(ctx, expr, v1.Range{Start: from, End: to, Step: step}, len(times))
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", expr, err)
		}
		for i := range found {
			found[i].name = legend(t.LegendFormat, found[i].labels)
		}
		slices.SortStableFunc(found, func(a, b answer) int { return cmp.Compare(a.name, b.name) })
		answers = append(answers, found...)
	}
	return answers, times, nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }

func (s *source) instant(ctx context.Context, expr string) ([]answer, error) {
	value, _, err := s.api.Query(ctx, expr, s.to)
	if err != nil {
		return nil, err
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("a %s is no vector", value.Type())
	}
	var answers []answer
	for _, sample := range vector {
		answers = append(answers, answer{labels: texts(sample.Metric), points: []float64{float64(sample.Value)}})
	}
	return answers, nil
}

func (s *source) overTime(ctx context.Context, expr string, over v1.Range, count int) ([]answer, error) {
	value, _, err := s.api.QueryRange(ctx, expr, over)
	if err != nil {
		return nil, err
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("a %s is no matrix", value.Type())
	}
	var answers []answer
	for _, stream := range matrix {
		a := answer{labels: texts(stream.Metric), points: slices.Repeat([]float64{math.NaN()}, count)}
		for _, pair := range stream.Values {
			if at := int(pair.Timestamp.Time().Sub(over.Start) / over.Step); at >= 0 && at < count {
				a.points[at] = float64(pair.Value)
			}
		}
		answers = append(answers, a)
	}
	return answers, nil
}

func texts(metric model.Metric) map[string]string {
	labels := map[string]string{}
	for name, value := range metric {
		labels[string(name)] = string(value)
	}
	return labels
}

// stack puts series on top of each other; what is missing adds nothing.
func stack(answers []answer) {
	for i, a := range answers {
		for at, point := range a.points {
			if math.IsNaN(point) {
				a.points[at] = 0
			}
			if i > 0 {
				a.points[at] += answers[i-1].points[at]
			}
		}
	}
}

// bounds are the lowest and the highest point of all.
func bounds(answers []answer) (low, high float64) {
	for _, a := range answers {
		for _, point := range a.points {
			if !math.IsNaN(point) && !math.IsInf(point, 0) {
				low, high = math.Min(low, point), math.Max(high, point)
			}
		}
	}
	return low, high
}

// table is what an instant query is as a table: a column for each label and for the value.
func table(answers []answer, how organize, f field) (head []string, rows [][]string) {
	var names []string
	for _, a := range answers {
		for name := range a.labels {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(append(names, "Value"), func(name string) bool { return how.Exclude[name] })
	slices.SortStableFunc(names, func(a, b string) int { return how.Index[a] - how.Index[b] })
	for _, a := range answers {
		row := make([]string, len(names))
		for i, name := range names {
			row[i] = a.labels[name]
			if name == "Value" {
				row[i] = f.text(a.points[0])
			}
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(strings.Join(a, "\x00"), strings.Join(b, "\x00")) })
	for _, name := range names {
		head = append(head, cmp.Or(how.Rename[name], name))
	}
	return head, rows
}

// span is a time in which a value stays the same, as parts of the whole.
type span struct {
	Left, Width float64
	Text, Color string
}

// spans are the times in which a series has the same value.
func spans(points []float64, f field) []span {
	var found []span
	for at := 0; at < len(points); {
		end := at + 1
		for end < len(points) && (points[end] == points[at] || math.IsNaN(points[end]) && math.IsNaN(points[at])) {
			end++
		}
		if value := points[at]; !math.IsNaN(value) {
			whole := float64(len(points))
			found = append(found, span{Left: 100 * float64(at) / whole, Width: 100 * float64(end-at) / whole, Text: f.text(value), Color: f.colorOf(value)})
		}
		at = end
	}
	return found
}
