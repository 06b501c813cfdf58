package main

import (
	"encoding/json"
	"image"
	"image/color"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVariablesAreInterpolatedAsInGrafana(t *testing.T) {
	values := map[string]string{"namespace": ".*", "__rate_interval": "8s"}
	out, err := interpolate(`rate(x{namespace=~"$namespace"}[$__rate_interval]) or y{a="${namespace}"}`, values)
	require.NoError(t, err)
	assert.Equal(t, `rate(x{namespace=~".*"}[8s]) or y{a=".*"}`, out)
	_, err = interpolate(`x{a="$other"}`, values)
	assert.ErrorContains(t, err, "other")

	assert.Equal(t, ".*", variable{AllValue: ".*"}.all([]string{"a"}))
	assert.Equal(t, `(a\\.b|c)`, variable{}.all([]string{"a.b", "c"}))
	series, label, err := variable{Definition: `label_values(up{job="a, b"}, namespace)`}.labelQuery()
	require.NoError(t, err)
	assert.Equal(t, []string{`up{job="a, b"}`, "namespace"}, []string{series, label})
	_, _, err = variable{Definition: "label_names()"}.labelQuery()
	assert.Error(t, err)
}

func TestIntervalsHaveTheSamplesThatARateNeeds(t *testing.T) {
	for _, c := range []struct{ shown, scrape, interval, rate time.Duration }{
		{10 * time.Minute, 2 * time.Second, 2 * time.Second, 8 * time.Second},
		{3 * time.Hour, 15 * time.Second, 30 * time.Second, time.Minute},
		{24 * time.Hour, 15 * time.Second, 5 * time.Minute, 5*time.Minute + 15*time.Second},
		{90 * 24 * time.Hour, 15 * time.Second, time.Hour, time.Hour + 15*time.Second},
	} {
		interval, rate := intervals(c.shown, c.scrape, 440)
		assert.Equal(t, c.interval, interval, "%v", c.shown)
		assert.Equal(t, c.rate, rate, "%v", c.shown)
	}
}

func TestSeriesAreNamedByTheirLegend(t *testing.T) {
	labels := map[string]string{"pod": "p", "container": "c"}
	assert.Equal(t, "p of c", legend("{{pod}} of {{ container }}{{none}}", labels))
	assert.Equal(t, `{container="c", pod="p"}`, legend("", labels))
}

func TestValuesAreShownInTheirUnits(t *testing.T) {
	for _, c := range []struct {
		unit  string
		value float64
		want  string
	}{
		{"short", 3, "3"}, {"short", 1234, "1.23 K"}, {"short", 0.0751, "0.075"}, {"percentunit", 0.127, "12.7 %"},
		{"bytes", 3 << 20, "3 MiB"}, {"s", 0.0123, "12.3 ms"}, {"s", 90, "1.5 min"}, {"s", 0, "0 s"}, {"s", 400 * 86400, "1.1 years"},
		{"reqps", 0.5, "500 mreq/s"}, {"furlong", 2, "2 furlong"}, {"short", math.NaN(), "–"}, {"short", -12.34, "-12.3"},
	} {
		assert.Equal(t, c.want, format(c.unit, c.value))
	}
}

func TestTicksAreRoundAndReachAllPoints(t *testing.T) {
	places, names := ticks("s", 0, 0.37)
	assert.Equal(t, []string{"0 ms", "100 ms", "200 ms", "300 ms", "400 ms"}, names)
	assert.InDeltaSlice(t, []float64{0, 0.1, 0.2, 0.3, 0.4}, places, 1e-12)
	_, names = ticks("short", 0, 0)
	assert.Equal(t, []string{"0", "0.25", "0.5", "0.75", "1"}, names)
	_, names = ticks("bytes", 0, 100<<20)
	assert.Equal(t, []string{"0 MiB", "25 MiB", "50 MiB", "75 MiB", "100 MiB"}, names)
	_, names = ticks("short", -3, 5)
	assert.Equal(t, []string{"-4", "-2", "0", "2", "4", "6"}, names)
}

func TestFieldsHaveTheColorsOfMappingsOverridesAndThresholds(t *testing.T) {
	one := 1.0
	f := field{}
	f.Thresholds.Steps = []threshold{{Color: "green"}, {Color: "red", Value: &one}}
	assert.Equal(t, []string{"green", "red"}, []string{f.colorOf(0), f.colorOf(1)})
	c := fieldConfig{Defaults: f}
	require.NoError(t, json.Unmarshal([]byte(`[{"matcher": {"id": "byRegexp", "options": "/failed$/"},
		"properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "orange"}}]}]`), &c.Overrides))
	got, err := c.of("has failed")
	require.NoError(t, err)
	assert.Equal(t, "orange", got.colorOf(0))
	got, err = c.of("is well")
	require.NoError(t, err)
	assert.Equal(t, "green", got.colorOf(0))
}

func TestTimelinesHaveASpanForEachTimeWithoutChange(t *testing.T) {
	nan := math.NaN()
	got := spans([]float64{nan, 1, 1, 2, nan, nan, 2, 2}, field{Unit: "none"})
	require.Len(t, got, 3)
	assert.Equal(t, []float64{12.5, 25, 37.5, 12.5, 75, 25}, []float64{got[0].Left, got[0].Width, got[1].Left, got[1].Width, got[2].Left, got[2].Width})
	assert.Equal(t, []string{"1", "2", "2"}, []string{got[0].Text, got[1].Text, got[2].Text})
}

func TestStackedSeriesLieOnEachOther(t *testing.T) {
	answers := []answer{{points: []float64{1, math.NaN(), 3}}, {points: []float64{10, 20, math.NaN()}}, {points: []float64{100, 100, 100}}}
	stack(answers)
	assert.Equal(t, [][]float64{{1, 0, 3}, {11, 20, 3}, {111, 120, 103}}, [][]float64{answers[0].points, answers[1].points, answers[2].points})
}

func TestTablesHaveTheColumnsThatTheirPanelNames(t *testing.T) {
	answers := []answer{
		{labels: map[string]string{"pod": "b", "why": "x"}, points: []float64{90}},
		{labels: map[string]string{"pod": "a", "why": "y"}, points: []float64{60}},
	}
	how := organize{Exclude: map[string]bool{"why": true}, Index: map[string]int{"Value": 1}, Rename: map[string]string{"Value": "For"}}
	head, rows := table(answers, how, field{Unit: "s"})
	assert.Equal(t, []string{"pod", "For"}, head)
	assert.Equal(t, [][]string{{"a", "1 min"}, {"b", "1.5 min"}}, rows)
}

func TestPicturesKeepTheirMostFrequentColors(t *testing.T) {
	picture := image.NewRGBA(image.Rect(0, 0, 100, 100))
	for i := range 10000 {
		picture.Set(i%100, i/100, color.RGBA{R: uint8(i % 300 * (i % 2) / 2), A: 255})
	}
	out := reduce(picture)
	assert.LessOrEqual(t, len(out.Palette), 256)
	assert.Equal(t, color.RGBA{A: 255}, out.At(0, 0))
}

func TestTheShippedDashboardsAreUnderstood(t *testing.T) {
	paths, err := filepath.Glob("../../config/grafana/dashboards/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		d, err := readDashboard(path)
		require.NoError(t, err)
		for i := range d.Panels {
			p := &d.Panels[i]
			if p.Type == "row" {
				continue
			}
			assert.Contains(t, slices.Collect(maps.Keys(scales)), p.FieldConfig.Defaults.Unit, "%s: %s", d.UID, p.Title)
			b := place(p)
			assert.NoError(t, b.fill(p, []answer{{name: "x", labels: map[string]string{"a": "b"}, points: []float64{1}}}, []int64{0}), "%s: %s", d.UID, p.Title)
		}
	}
}
