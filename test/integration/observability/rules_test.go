package observability_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/observability/shipped"
)

// The rules are used as they are shipped, but for times, which would make a test of hours:
//
//   - a minute of a range and of an offset is a second (5m is 5s), so that it has as many scrapes as with a scrape
//     interval of a minute in place of a second;
//   - a minute of for is a tenth of a second (15m is 1.5s);
//   - a group is evaluated every second.
//
// Thresholds stay: also those in seconds.
const (
	windowsHurried = 60
	waitsHurried   = 600
	interval       = "1s"
)

var duration = regexp.MustCompile(`(\[|\boffset )([0-9]+)([smhd])\b`)

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// shippedRules are all rules of config/prometheus.
func shippedRules(t testing.TB) shipped.File {
	t.Helper()
	var all shipped.File
	for _, kind := range shipped.Kinds {
		all.Groups = append(all.Groups, shipped.Rules(t, repository, kind).Groups...)
	}
	return all
}

// hurried changes the times of rules, and nothing else.
func hurried(t testing.TB, rules shipped.File) shipped.File {
	t.Helper()
	for g := range rules.Groups {
		rules.Groups[g].Interval = interval
		for r := range rules.Groups[g].Rules {
			rule := &rules.Groups[g].Rules[r]
			rule.Expr = duration.ReplaceAllStringFunc(rule.Expr, func(text string) string {
				parts := duration.FindStringSubmatch(text)
				return parts[1] + short(t, parts[2], parts[3], windowsHurried)
			})
			if rule.For != "" {
				rule.For = short(t, rule.For[:len(rule.For)-1], rule.For[len(rule.For)-1:], waitsHurried)
			}
		}
	}
	return rules
}

func short(t testing.TB, count, unit string, by int) string {
	t.Helper()
	number, err := strconv.Atoi(count)
	require.NoError(t, err)
	return fmt.Sprintf("%dms", (time.Duration(number) * units[unit] / time.Duration(by)).Milliseconds())
}

func TestHurriedRulesDifferInTimesOnly(t *testing.T) {
	one := func(expr, wait string) shipped.File {
		return shipped.File{Groups: []shipped.Group{{Name: "g", Interval: "30s", Rules: []shipped.Rule{{Alert: "A", Expr: expr, For: wait}}}}}
	}
	got := hurried(t, one(`rate(x{a="5m"}[5m]) > 300 and y unless y offset 30m`, "1h")).Groups[0]
	assert.Equal(t, "1s", got.Interval)
	assert.Equal(t, shipped.Rule{Alert: "A", Expr: `rate(x{a="5m"}[5000ms]) > 300 and y unless y offset 30000ms`, For: "6000ms"}, got.Rules[0])
	assert.Equal(t, "0ms", hurried(t, one("x", "0m")).Groups[0].Rules[0].For)
}
