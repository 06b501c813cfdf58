package control_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/helm-operator/control"
)

const (
	pause      = "datapower.ibm.com/pause"
	expiration = "datapower.ibm.com/pause-expiration"
	hibernate  = "datapower.ibm.com/hibernate"
	period     = "helm.sdk.operatorframework.io/reconcile-period"
	waits      = "helm.sdk.operatorframework.io/uninstall-wait"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestAPauseLastsUntilItsEnd(t *testing.T) {
	one := noon.Add(time.Hour)
	tests := map[string]struct {
		annotations map[string]string
		want        control.Control
	}{
		"none":                       {nil, control.Control{}},
		"without an end":             {map[string]string{pause: "true"}, control.Control{Paused: true}},
		"turned off":                 {map[string]string{pause: "false"}, control.Control{}},
		"of an hour that begins now": {map[string]string{pause: "1h"}, control.Control{Paused: true, Until: one, Set: map[string]string{expiration: "2026-11-20T13:00:00Z"}}},
		"of an hour that began before": {
			map[string]string{pause: "1h", expiration: "2026-11-20T12:10:00Z"}, control.Control{Paused: true, Until: noon.Add(10 * time.Minute)},
		},
		"of the shortest time": {map[string]string{pause: "1m"}, control.Control{
			Paused: true, Until: noon.Add(time.Minute), Set: map[string]string{expiration: "2026-11-20T12:01:00Z"},
		}},
		"that is over":        {map[string]string{pause: "1h", expiration: "2026-11-20T11:59:59Z"}, control.Control{Remove: []string{pause, expiration}}},
		"that is over now":    {map[string]string{pause: "1h", expiration: "2026-11-20T12:00:00Z"}, control.Control{Remove: []string{pause, expiration}}},
		"that was taken back": {map[string]string{expiration: "2026-11-20T13:00:00Z"}, control.Control{Remove: []string{expiration}}},
		"that became endless": {map[string]string{pause: "true", expiration: "2026-11-20T12:10:00Z"}, control.Control{Paused: true, Remove: []string{expiration}}},
		"whose end nobody can read": {
			map[string]string{pause: "1h", expiration: "soon"}, control.Control{Paused: true, Until: one, Set: map[string]string{expiration: "2026-11-20T13:00:00Z"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := control.Read(test.annotations, noon)
			assert.True(t, test.want.Until.Equal(got.Until), "%s", got.Until)
			got.Until = test.want.Until
			assert.Equal(t, test.want, got)
		})
	}
}

func TestOtherAnnotationsAreSwitchesAndDurations(t *testing.T) {
	tests := map[string]struct {
		annotations map[string]string
		want        control.Control
	}{
		"hibernation":           {map[string]string{hibernate: "true"}, control.Control{Hibernate: true}},
		"no hibernation":        {map[string]string{hibernate: "false"}, control.Control{}},
		"waiting for the end":   {map[string]string{waits: "true"}, control.Control{UninstallWait: true}},
		"not waiting":           {map[string]string{waits: "no"}, control.Control{}},
		"a period":              {map[string]string{period: "10m"}, control.Control{Period: 10 * time.Minute}},
		"annotations of others": {map[string]string{"note": "true"}, control.Control{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, control.Read(test.annotations, noon))
		})
	}
}

func TestWhatMakesNoSenseHasNoEffectAndIsTold(t *testing.T) {
	for name, annotations := range map[string]map[string]string{
		"a pause that is too short": {pause: "59s"},
		"a pause of words":          {pause: "yes please"},
		"a negative pause":          {pause: "-1h"},
		"an empty pause":            {pause: ""},
		"a period of words":         {period: "often"},
		"a period of no time":       {period: "0s"},
		"a negative period":         {period: "-1m"},
	} {
		t.Run(name, func(t *testing.T) {
			got := control.Read(annotations, noon)
			require.Len(t, got.Invalid, 1)
			for key, value := range annotations {
				assert.Contains(t, got.Invalid[0], key)
				assert.Contains(t, got.Invalid[0], `"`+value+`"`)
			}
			assert.Equal(t, control.Control{Invalid: got.Invalid}, got)
		})
	}
}

func TestAPauseNeverOutlivesItsDurationAndReadingConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.IntRange(1, 600).Draw(t, "minutes")
		d := time.Duration(minutes) * time.Minute
		annotations := map[string]string{pause: d.String()}
		first := control.Read(annotations, noon)
		require.True(t, first.Paused)
		for key, value := range first.Set {
			annotations[key] = value
		}
		later := noon.Add(time.Duration(rapid.IntRange(0, 700*60).Draw(t, "seconds later")) * time.Second)
		second := control.Read(annotations, later)
		require.Equal(t, later.Before(noon.Add(d)), second.Paused)
		require.Empty(t, second.Set, "the end is noted once")
		require.Equal(t, !second.Paused, len(second.Remove) == 2)
	})
}
