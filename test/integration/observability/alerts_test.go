package observability_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// longVariable asks for the long form of this test.
const longVariable = "OBSERVABILITY_LONG"

func long() bool { return os.Getenv(longVariable) != "" }

// impossible are alerts whose condition is not made here, and why.
var impossible = map[string]string{
	"DataPowerOperatorPanics":      "needs a fault in the program that nobody knows of",
	"DataPowerOperatorWorkerStuck": "its threshold is a reconcile of 40 minutes, and thresholds are not changed here",
}

// firing is an alert, with some of its labels as "name=value".
type firing struct {
	alert  string
	labels []string
}

func fires(alert string, labels ...string) firing { return firing{alert, labels} }

// matches tells whether one of the samples of ALERTS is it.
func (f firing) matches(samples []sample) bool {
	return slices.ContainsFunc(samples, func(s sample) bool {
		return s.labels["alertname"] == f.alert && !slices.ContainsFunc(f.labels, func(label string) bool {
			name, value, _ := strings.Cut(label, "=")
			return s.labels[name] != value
		})
	})
}

// step of a story. It ends when each of its alerts has fired and until, if there is one, holds.
type step struct {
	// how the condition is made, in the words of README.md; empty for a step between two conditions.
	how string
	// make makes the condition, again keeps it up.
	make, again func()
	until       func() bool
	fires       []firing
}

// story is a sequence of steps; several stories go on at the same time.
type story []step

// progress is how far a story has come.
type progress struct {
	story
	at    int
	begun time.Time
	seen  map[string]bool
}

// play goes through stories. It returns when all have ended, or none comes any further.
func (p *prometheus) play(stories ...story) {
	p.Helper()
	var left []*progress
	for _, s := range stories {
		left = append(left, &progress{story: s})
	}
	for last := time.Now(); len(left) > 0; time.Sleep(tick) {
		if !p.ending {
			p.revive()
		}
		now, err := p.query(`ALERTS{alertstate="firing"}`)
		require.NoError(p, err)
		for _, s := range left {
			if p.advance(s, now) {
				last = time.Now()
			}
		}
		left = slices.DeleteFunc(left, func(s *progress) bool { return s.at == len(s.story) })
		if time.Since(last) > patience {
			for _, s := range left {
				assert.Fail(p, "did not come to its end", "%s: of %v have fired %v", s.story[s.at].how, s.story[s.at].fires, s.seen)
			}
			require.Fail(p, "no story goes on")
		}
	}
}

// advance begins a step, or goes on with it. It tells whether there is something new.
func (p *prometheus) advance(s *progress, now []sample) bool {
	p.Helper()
	step := s.story[s.at]
	if s.seen == nil {
		p.begin(step, now)
		s.begun, s.seen = time.Now(), map[string]bool{}
	}
	if step.again != nil {
		step.again()
	}
	before := len(s.seen)
	for _, f := range step.fires {
		if f.matches(now) {
			s.seen[fmt.Sprint(f)] = true
		}
	}
	if len(s.seen) < len(step.fires) || step.until != nil && !step.until() {
		return len(s.seen) > before
	}
	if step.how != "" {
		p.Logf("%5.1fs %s", time.Since(s.begun).Seconds(), step.how)
	}
	s.at, s.seen = s.at+1, nil
	return true
}

// begin makes a condition. Its alerts must not fire before.
func (p *prometheus) begin(s step, now []sample) {
	p.Helper()
	for _, f := range s.fires {
		require.False(p, f.matches(now), "%v fires before: %s", f, s.how)
	}
	if s.make != nil {
		s.make()
	}
}

// alarms makes the condition of every alert, and at the end takes the operator down.
func (p *prometheus) alarms(reader string, conversion *conversionWebhook) {
	first := p.together(reader, conversion)
	p.play(first...)
	last := p.end()
	p.ending = true
	p.play(last)
	told := map[string]bool{}
	for _, s := range append(first, last) {
		for _, step := range s {
			for _, f := range step.fires {
				told[f.alert] = true
			}
		}
	}
	told["DataPowerPeeringResetStorm"] = true // in the long form
	for _, rule := range shippedRules(p).Alerts() {
		assert.NotEqual(p, told[rule.Alert], impossible[rule.Alert] != "", "%s: its condition is made here, or it is said why not", rule.Alert)
		delete(told, rule.Alert)
	}
	assert.Empty(p, slices.Collect(maps.Keys(told)), "no such alert")
}

// together are the stories that do not need a whole operator for themselves.
func (p *prometheus) together(reader string, conversion *conversionWebhook) []story {
	var refused, disturbed bool
	return []story{
		{p.refuse(), {until: func() bool { refused = true; return true }}},
		{{until: func() bool { return refused }}, p.lack()},
		append(story{{until: func() bool { return refused }}}, p.migrate()...),
		append(append(story{{until: func() bool { return refused }}}, p.obstruct()...),
			step{until: func() bool { disturbed = true; return true }}),
		{{until: func() bool { return disturbed }}, p.hang()},
		p.peering(),
		p.certificates(reader),
		p.mistake(),
		p.orphan(reader),
		{{
			how: "a quota is lowered to what is used",
			make: func() {
				quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: gateways, Name: "limits"}}
				require.NoError(p, p.kube.Patch(p.Context(), quota, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"hard":{"pods":"1"}}}`))))
			},
			fires: []firing{fires("DataPowerNamespaceQuotaNearlyUsed", "namespace="+gateways, "resource=pods")},
		}},
		{{
			how:   "an ExposedAPI whose implementation does not exist, without Istio",
			make:  func() { p.create(exposedAPI()) },
			fires: []firing{fires("DataPowerExposedAPINotReady", "kind=ExposedAPI"), fires("DataPowerExposedAPINotRouted", "kind=ExposedAPI")},
		}},
		{{
			how:   "rendered ConfigMaps are deleted again and again",
			again: p.drift,
			fires: []firing{fires("DataPowerReleaseDriftLoop", "kind=DataPowerService", "object_kind=ConfigMap")},
		}},
		p.misdirect(),
		{{
			how:   "the conversion of a version that does not exist is asked for",
			again: func() { conversion.convertNonsense(p.world) },
			fires: []firing{fires("DataPowerOperatorConversionFailing", "from=unknown")},
		}},
	}
}

func TestTheReadmeTellsHowEachConditionIsMade(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	p := &prometheus{world: &world{T: t}}
	var rows []string
	rows = append(rows, fmt.Sprintf("| DataPowerPeeringResetStorm | %s (long form) |", p.storm().how))
	for _, s := range append(p.together("", nil), p.end()) {
		for _, step := range s {
			for _, f := range step.fires {
				row := fmt.Sprintf("| %s | %s |", f.alert, step.how)
				if f.alert != "DataPowerPeeringResetStorm" && !slices.Contains(rows, row) {
					rows = append(rows, row)
				}
			}
		}
	}
	for alert, why := range impossible {
		rows = append(rows, fmt.Sprintf("| %s | not here: %s |", alert, why))
	}
	slices.Sort(rows)
	assert.Contains(t, string(text), strings.Join(rows, "\n"), "it should have these rows:\n%s", strings.Join(rows, "\n"))
}
