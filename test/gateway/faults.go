package gateway

import (
	"net/http"
	"strings"
	"time"
)

// Faults are what is wrong with a gateway on purpose. The zero value is a gateway in order.
type Faults struct {
	// Only limits the faults of REST answers (Slow to HugeAnswer) to requests whose "METHOD /path" begins so, for example
	// "PUT /mgmt/config/". Empty means all.
	Only string `json:"only,omitempty"`
	// Slow is the time that each answer takes.
	Slow time.Duration `json:"slow,omitempty"`
	// Hang leaves requests without an answer.
	Hang bool `json:"hang,omitempty"`
	// HangAfter does what was asked and then hangs: the answer is lost.
	HangAfter bool `json:"hangAfter,omitempty"`
	// Unauthorized answers 401 to everybody.
	Unauthorized bool `json:"unauthorized,omitempty"`
	// ServerErrors answers 500 so many times, and for ever when negative.
	ServerErrors int `json:"serverErrors,omitempty"`
	// HalfWritten breaks the connection in the middle of each answer.
	HalfWritten bool `json:"halfWritten,omitempty"`
	// Malformed answers 200 with something that is no JSON.
	Malformed bool `json:"malformed,omitempty"`
	// HugeAnswer adds so many bytes to each answer.
	HugeAnswer int `json:"hugeAnswer,omitempty"`

	// WrongCertificate shows a certificate that nobody has seen before, each time another.
	WrongCertificate bool `json:"wrongCertificate,omitempty"`
	// Unreachable is a lost node: no connection is accepted or closed, and peering links fall silent.
	Unreachable bool `json:"unreachable,omitempty"`
	// NotReady fails the health probe and nothing else.
	NotReady bool `json:"notReady,omitempty"`

	// NoResetAction removes the reset from the action queue.
	NoResetAction bool `json:"noResetAction,omitempty"`
	// RefuseWrites makes the config resource refuse every change.
	RefuseWrites bool `json:"refuseWrites,omitempty"`
	// LyingReset makes resets, by an action or by the administrative state, say that they are done and do nothing.
	LyingReset bool `json:"lyingReset,omitempty"`
	// AsyncActions makes actions asynchronous. ActionTime is how long they stay "started".
	AsyncActions bool          `json:"asyncActions,omitempty"`
	ActionTime   time.Duration `json:"actionTime,omitempty"`
	// ActionState is the state that asynchronous actions end in; "completed" when empty. With "error" and
	// "processed-with-errors" nothing is done. "gone" does it, and the queue forgets the action at once.
	ActionState string `json:"actionState,omitempty"`
}

// Asynchronous actions that the queue forgets have this state.
const actionGone = "gone"

// rest returns the faults that apply to a request, of those limited by Only.
func (f Faults) applies(r *http.Request) bool {
	return strings.HasPrefix(r.Method+" "+r.URL.RequestURI(), f.Only)
}

// Faults returns the instance's faults. ServerErrors counts down as it is used up.
func (i *Instance) Faults() Faults {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.faults
}

// SetFaults replaces the instance's faults. Answers that hang at that moment keep hanging.
func (i *Instance) SetFaults(faults Faults) {
	i.mutex.Lock()
	i.faults = faults
	members := i.allMembers()
	i.mutex.Unlock()
	for _, member := range members {
		member.Isolate(faults.Unreachable)
	}
}

// takeFaults returns the faults for a request, and takes one of the server errors when it is due.
func (i *Instance) takeFaults(r *http.Request) Faults {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	faults := i.faults
	if !faults.applies(r) {
		return Faults{}
	}
	if i.faults.ServerErrors > 0 {
		i.faults.ServerErrors--
	}
	return faults
}
