// Package state decides what to do about a release. Decide is a pure function from what was
// observed to a named state; the controller maps each state to an action.
package state

import (
	"fmt"
	"math"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/datapower-operator/datapower-operator/helm-operator/release"
)

// State names a situation of a release.
type State string

// The states, each with the action that follows from it.
const (
	// Deleting: the custom resource is being deleted. Uninstall.
	Deleting State = "Deleting"
	// Taken: a release of the same name belongs to another kind or chart. Leave it alone.
	Taken State = "Taken"
	// NotInstalled: there is no release. Install.
	NotInstalled State = "NotInstalled"
	// Interrupted: a process died during an action. Unlock, then look again.
	Interrupted State = "Interrupted"
	// BackingOff: these inputs failed before and it is too early to try again. Wait.
	BackingOff State = "BackingOff"
	// Failed: these inputs failed before and may be tried again. Upgrade.
	Failed State = "Failed"
	// OutOfDate: the deployed release was made from other inputs. Upgrade.
	OutOfDate State = "OutOfDate"
	// Drifted: objects are missing or differ from what was verified. Repair.
	Drifted State = "Drifted"
	// InSync: nothing to do.
	InSync State = "InSync"
)

// Input is everything a decision depends on.
type Input struct {
	Deleting bool
	// Chart is the name of the chart that the resource is to be rendered with.
	Chart string
	// Owner is the kind of the resource (see release.OwnerOf).
	Owner string
	// Digest of the inputs of today.
	Digest string
	// SameManifest says that rendering the inputs of today gives the deployed manifest and hooks; it is
	// asked only when the digests differ.
	SameManifest bool
	History      release.History
	// Attempts and LastAttempt count the failures with this digest that left no revision behind
	// (refused before anything was changed).
	Attempts    int
	LastAttempt time.Time
	// Suspects is the number of objects that are missing or not verified.
	Suspects int
	Now      time.Time
}

// Decision is a state, why it holds, and how long to wait where waiting is the action.
type Decision struct {
	State State
	// Cause is one of a fixed list, for metrics; Reason says the same to people, with particulars.
	Cause  Cause
	Reason string
	Wait   time.Duration
}

// Cause is why a state holds.
type Cause string

// The causes.
const (
	BeingDeleted    Cause = "BeingDeleted"
	NoRelease       Cause = "NoRelease"
	WasUninstalled  Cause = "WasUninstalled"
	OtherChart      Cause = "OtherChart"
	ActionCut       Cause = "ActionCut"
	InputsFailed    Cause = "InputsFailed"
	InputsChanged   Cause = "InputsChanged"
	NothingDeployed Cause = "NothingDeployed"
	ObjectsChanged  Cause = "ObjectsChanged"
	UpToDate        Cause = "UpToDate"
)

// Decide names the state of a release.
func Decide(in Input) Decision {
	if in.Deleting {
		return Decision{State: Deleting, Cause: BeingDeleted, Reason: "the resource is being deleted"}
	}
	d := decide(in)
	wait := backoffLeft(in)
	if wait == 0 || d.State != NotInstalled && d.State != OutOfDate && d.State != Failed {
		return d
	}
	// What is deployed is kept right while the next try waits.
	if _, deployed := in.History.Deployed(); deployed && in.Suspects > 0 {
		return drifted(in)
	}
	return Decision{State: BackingOff, Cause: InputsFailed, Wait: wait, Reason: fmt.Sprintf("failed before, next try in %s", wait.Round(time.Second))}
}

func drifted(in Input) Decision {
	return Decision{State: Drifted, Cause: ObjectsChanged, Reason: fmt.Sprintf("%d objects are missing or may have changed", in.Suspects)}
}

func decide(in Input) Decision {
	if len(in.History) == 0 {
		return Decision{State: NotInstalled, Cause: NoRelease, Reason: "there is no release"}
	}
	latest := in.History[0]
	if !latest.Of(in.Chart, in.Owner) {
		whose := "chart " + latest.Chart + ", not " + in.Chart
		if latest.Owner != "" && latest.Owner != in.Owner {
			whose = "kind " + latest.Owner + " (chart " + latest.Chart + ")"
		}
		return Decision{State: Taken, Cause: OtherChart, Reason: fmt.Sprintf(
			"release belongs to %s: another kind has a resource of this name in this namespace", whose)}
	}
	return decideFromHistory(in, latest)
}

func decideFromHistory(in Input, latest release.Revision) Decision {
	switch latest.Status {
	case helmrelease.StatusPendingInstall, helmrelease.StatusPendingUpgrade,
		helmrelease.StatusPendingRollback, helmrelease.StatusUninstalling, helmrelease.StatusUnknown:
		return Decision{State: Interrupted, Cause: ActionCut, Reason: fmt.Sprintf("revision %d was left %s", latest.Version, latest.Status)}
	case helmrelease.StatusUninstalled:
		return Decision{State: NotInstalled, Cause: WasUninstalled, Reason: "the release was uninstalled"}
	case helmrelease.StatusFailed:
		if latest.Digest == in.Digest {
			return Decision{State: Failed, Cause: InputsFailed, Reason: fmt.Sprintf("revision %d failed: %s", latest.Version, latest.Description)}
		}
		return Decision{State: OutOfDate, Cause: InputsChanged, Reason: fmt.Sprintf("revision %d failed and its inputs changed since", latest.Version)}
	}
	deployed, ok := in.History.Deployed()
	if !ok {
		return Decision{State: OutOfDate, Cause: NothingDeployed, Reason: "no revision is deployed"}
	}
	if deployed.Digest != in.Digest && !in.SameManifest {
		return Decision{State: OutOfDate, Cause: InputsChanged, Reason: fmt.Sprintf("revision %d was made from other inputs", deployed.Version)}
	}
	if in.Suspects > 0 {
		return drifted(in)
	}
	return Decision{State: InSync, Cause: UpToDate, Reason: fmt.Sprintf("revision %d is deployed", deployed.Version)}
}

const (
	backoffBase = 10 * time.Second
	backoffCap  = 10 * time.Minute
)

// Backoff is how long to wait after the n-th failure with the same inputs: 10 s, 40 s, 160 s, then
// ten minutes.
func Backoff(n int) time.Duration {
	if n < 1 {
		return 0
	}
	d := float64(backoffBase) * math.Pow(4, float64(n-1))
	return time.Duration(min(d, float64(backoffCap)))
}

func backoffLeft(in Input) time.Duration {
	count, last := in.History.FailedAttempts(in.Digest)
	if in.Attempts > count {
		count = in.Attempts
	}
	if in.LastAttempt.After(last) {
		last = in.LastAttempt
	}
	if count == 0 {
		return 0
	}
	return max(0, last.Add(Backoff(count)).Sub(in.Now))
}
