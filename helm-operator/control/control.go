// Package control reads the annotations by which a user steers the reconciliation of one custom
// resource: pause, hibernate, reconcile period, waiting for an uninstall. It is pure.
package control

import (
	"fmt"
	"strconv"
	"time"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

const (
	// ReconcilePeriodAnnotation overrides the watch's reconcilePeriod, as operator-sdk spells it.
	ReconcilePeriodAnnotation = "helm.sdk.operatorframework.io/reconcile-period"
	// UninstallWaitAnnotation keeps the resource until its objects are gone, as operator-sdk spells it.
	UninstallWaitAnnotation = "helm.sdk.operatorframework.io/uninstall-wait"
	// MinimumPause is the shortest pause that is accepted.
	MinimumPause = time.Minute
)

// Control is what the annotations ask for.
type Control struct {
	// Paused: leave everything as it is. Until is zero for an open end.
	Paused bool
	Until  time.Time
	// Hibernate: delete the rendered objects and keep the resource.
	Hibernate bool
	// Period overrides the watch's reconcile period when it is positive.
	Period time.Duration
	// UninstallWait: a deletion is finished when the objects are gone.
	UninstallWait bool
	// Set and Remove are changes to the annotations that are to be made first.
	Set    map[string]string
	Remove []string
	// Invalid lists annotations that have no effect, with what is wrong with them.
	Invalid []string
}

// Read interprets annotations at the time now.
func Read(annotations map[string]string, now time.Time) Control {
	c := Control{
		Hibernate:     isTrue(annotations[datapower.HibernateAnnotation]),
		UninstallWait: isTrue(annotations[UninstallWaitAnnotation]),
	}
	c.readPause(annotations, now)
	if v, ok := annotations[ReconcilePeriodAnnotation]; ok {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			c.invalid(ReconcilePeriodAnnotation, v, "a positive duration such as 10m")
		} else {
			c.Period = d
		}
	}
	return c
}

// readPause follows the documented pause annotation: "true" pauses without an end, a duration of at
// least a minute until the expiration that the operator notes beside it; afterwards both go.
func (c *Control) readPause(annotations map[string]string, now time.Time) {
	value, asked := annotations[datapower.PauseAnnotation]
	expiration, noted := annotations[datapower.PauseExpirationAnnotation]
	if !asked || value == "true" || value == "false" {
		c.Paused = value == "true"
		if noted {
			c.Remove = []string{datapower.PauseExpirationAnnotation}
		}
		return
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < MinimumPause {
		c.invalid(datapower.PauseAnnotation, value, `"true" or a duration of at least 1m`)
		return
	}
	until, err := time.Parse(time.RFC3339, expiration)
	if !noted || err != nil {
		until = now.Add(d).Truncate(time.Second)
		c.Set = map[string]string{datapower.PauseExpirationAnnotation: until.UTC().Format(time.RFC3339)}
	}
	if !now.Before(until) {
		c.Remove = []string{datapower.PauseAnnotation, datapower.PauseExpirationAnnotation}
		return
	}
	c.Paused, c.Until = true, until
}

func (c *Control) invalid(annotation, value, want string) {
	c.Invalid = append(c.Invalid, fmt.Sprintf("annotation %s: %q is not %s; it is ignored", annotation, value, want))
}

func isTrue(s string) bool {
	v, err := strconv.ParseBool(s)
	return err == nil && v
}
