package peering

import (
	"context"
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

// Service is the DataPowerService whose gateways are looked at.
type Service struct {
	// Namespace, Name and UID identify it.
	Namespace, Name string
	UID             types.UID
	// RecoveryInterval is the wait between two looks at peerings that recover. Zero means one second.
	RecoveryInterval time.Duration
	// Open are the journal's entries that a dead process left: resets begun and not ended. They are finished first.
	Open []Reset
}

// Reset identifies one reset: it is what the journal keeps. A Journal tells its entries apart by PodUID, Domain and
// Peering, of which at most one is open at any time.
type Reset struct {
	// Pod and PodUID say which gateway. A new pod of the same name has another UID.
	Pod    string
	PodUID types.UID
	// Domain and Peering say which GatewayPeering object of it.
	Domain, Peering string
	// Strategy is StrategyAdminState, or StrategyActionPrefix with the name of the action.
	Strategy string
	// Began is when it was decided, in whole seconds.
	Began metav1.Time
}

// Strategies of a reset.
const (
	// StrategyAdminState disables the peering and enables it again.
	StrategyAdminState = "admin-state"
	// StrategyActionPrefix stands before the name of the gateway's action.
	StrategyActionPrefix = "action:"
)

// Pod is a pod of the service.
type Pod struct {
	// Name and UID identify it.
	Name string
	UID  types.UID
	// IP is its address, empty as long as it has none.
	IP string
	// Created is when it was made.
	Created time.Time
	// Ready is its condition Ready, Running its phase. Terminating says that it has a deletion timestamp.
	Ready, Running, Terminating bool
}

// Pods lists every pod that the service controls, whatever its phase: also those without an address, those that
// terminate, those that failed.
type Pods interface {
	// Cached may be behind. It is what looking uses.
	Cached(ctx context.Context, service Service) ([]Pod, error)
	// Live reads from the API server itself. It is called right before each reset.
	Live(ctx context.Context, service Service) ([]Pod, error)
}

// Gateway is what the work needs of a gateway: methods of [datapower.Client], which may be called from many goroutines, and
// Close, which is called exactly once, after all of them.
type Gateway interface {
	Domains(ctx context.Context) ([]string, error)
	GatewayPeerings(ctx context.Context, domain string) ([]datapower.GatewayPeering, error)
	PeeringStatus(ctx context.Context, domain string) ([]datapower.PeeringStatus, error)
	Operations(ctx context.Context, domain string) ([]string, error)
	Action(ctx context.Context, domain string, body json.RawMessage) (datapower.ActionResult, error)
	SetAdminState(ctx context.Context, domain, peering string, state datapower.AdminState) error
	Close()
}

// Gateways connects to the gateway in a pod. Errors may carry a [*ConnectError], whose reason and remedy enter the report.
type Gateways interface {
	Connect(ctx context.Context, service Service, pod Pod) (Gateway, error)
}

// Journal remembers resets that have begun and not ended, beyond the death of this process. Both methods return when the
// entry is persisted. They are called from one goroutine, and repeating a call with the same reset does no harm.
type Journal interface {
	// Begin is called before the first write to the gateway. When it fails, nothing is written to the gateway.
	Begin(ctx context.Context, reset Reset) error
	// End is called when nothing of the reset is left to do. When it fails, the entry stays open and the next work
	// finishes it.
	End(ctx context.Context, reset Reset) error
}

// Observer hears of resets as they happen. It is called from the goroutine of Work.
type Observer interface {
	// ResetEnded is called at the end of each reset, also of one that a dead process had begun.
	ResetEnded(service Service, reset ResetReport)
}

// Reason is a stable word for what is wrong, fit for conditions, events and labels of metrics.
type Reason string

// Reasons of problems.
const (
	// ReasonPodsUnknown says that the pods of the service could not be listed.
	ReasonPodsUnknown Reason = "PodsUnknown"
	// ReasonCredentialsMissing says that no user of the service has a password Secret that can be used.
	ReasonCredentialsMissing Reason = "CredentialsMissing"
	// ReasonPasswordHashed says that the password Secrets have only password-hashed, which nobody can log in with.
	ReasonPasswordHashed Reason = "PasswordHashedOnly"
	// ReasonCredentialsRefused says that the gateway refused user name or password.
	ReasonCredentialsRefused Reason = "CredentialsRefused"
	// ReasonNotAuthorized says that the user may not see the peering, or not change it.
	ReasonNotAuthorized Reason = "NotAuthorized"
	// ReasonCertificateNotTrusted says that the gateway's certificate is not one that the operator was told to trust.
	ReasonCertificateNotTrusted Reason = "CertificateNotTrusted"
	// ReasonTLSSettings says that the monitor's TLS settings cannot be used.
	ReasonTLSSettings Reason = "TLSSettingsInvalid"
	// ReasonInterfaceOff says that nothing listens on the port of the REST management interface.
	ReasonInterfaceOff Reason = "RestManagementOff"
	// ReasonUnreachable says that no complete answer came.
	ReasonUnreachable Reason = "GatewayUnreachable"
	// ReasonGatewayError says that the gateway answered with an error of its own, such as 500.
	ReasonGatewayError Reason = "GatewayError"
	// ReasonBadAnswer says that the gateway's answer is not of the documented form.
	ReasonBadAnswer Reason = "BadAnswer"
	// ReasonPodNotReady says that the gateway in the pod does not answer yet, or that the pod has no address yet or
	// terminates. It passes by itself, and a pod event tells.
	ReasonPodNotReady Reason = "PodNotReady"
	// ReasonWaitingForPods says that resets wait for pods that are being created or terminate.
	ReasonWaitingForPods Reason = "WaitingForPods"
	// ReasonQuorumLost says that a peering has no primary or too few active members.
	ReasonQuorumLost Reason = "QuorumLost"
	// ReasonQuorumAtRisk says that a reset would have left too few active members.
	ReasonQuorumAtRisk Reason = "QuorumAtRisk"
	// ReasonNoWayToReset says that none of the strategies can be used with the gateway.
	ReasonNoWayToReset Reason = "NoWayToReset"
	// ReasonResetFailed says that a reset was tried and failed.
	ReasonResetFailed Reason = "ResetFailed"
	// ReasonStillStale says that stale peers were still listed when the bound was reached.
	ReasonStillStale Reason = "StillStale"
	// ReasonLinkDown says that links between live members were still down when the bound was reached.
	ReasonLinkDown Reason = "LinkDown"
	// ReasonPeeringDisabled says that a peering that the operator disabled could not be enabled again yet.
	ReasonPeeringDisabled Reason = "PeeringLeftDisabled"
	// ReasonJournal says that a reset could not be recorded, and so was not begun.
	ReasonJournal Reason = "JournalFailed"
	// ReasonInterrupted says that the work was ended before it was done.
	ReasonInterrupted Reason = "Interrupted"
)

// Problem is something that kept a part of the work from being done.
type Problem struct {
	// Reason is the stable word.
	Reason Reason
	// Domain and Peering say where; empty when it concerns the whole gateway or service.
	Domain, Peering string
	// Message says what happened, without saying where once more, and Remedy what to do about it, as sentences. Neither
	// holds a secret.
	Message, Remedy string
	// Passing is set when it is expected to go away without anybody's doing.
	Passing bool
}

// Report tells what work or a look has found and done. It holds no secret.
type Report struct {
	// Began and Ended are the time of the work by the injected clock.
	Began, Ended time.Time
	// Pods are the service's pods in the order of their names, in the state of the last look.
	Pods []PodReport
	// Problems concern the service as a whole.
	Problems []Problem
}

// PodReport tells about one pod.
type PodReport struct {
	// Name, UID and IP identify it.
	Name string
	UID  types.UID
	IP   string
	// LookedAt says that the peering of all its domains was read. Otherwise Problems say why not, unless it is gone.
	LookedAt bool
	// Gone says that the pod does not exist any more. It is here because of its resets.
	Gone bool
	// Peerings are its peerings with a peer group, by domain and name, at the last look.
	Peerings []PeeringReport
	// Resets are the resets of this pod in their order.
	Resets []ResetReport
	// Problems concern this pod.
	Problems []Problem
}

// PeeringReport tells about one peering object of one pod.
type PeeringReport struct {
	Domain, Name string
	// AdminDisabled says that its configuration has it disabled, which is not the operator's doing.
	AdminDisabled bool
	// Primary says that the pod is the primary.
	Primary bool
	// Members are the addresses that it lists, its own among them, sorted.
	Members []string
	// Stale are the stale peers at the last look, Found those that any look of this work found. Sorted addresses.
	Stale, Found []string
	// Down are the addresses of live pods whose link is down, sorted.
	Down []string
}

// Result is the end of a reset or of the whole work, fit for labels of metrics.
type Result string

// Results.
const (
	// ResultClean is the result of work that found nothing to do and no problem.
	ResultClean Result = "clean"
	// ResultHealed says that no stale peer is left: of a reset, and of work with at least one reset and no problem left.
	ResultHealed Result = "healed"
	// ResultWaiting is the result of work that found only what passes by itself.
	ResultWaiting Result = "waiting"
	// ResultFailed says that a reset failed, or that work left problems.
	ResultFailed Result = "failed"
	// ResultNoEffect says that a reset was done and the stale peers are still listed.
	ResultNoEffect Result = "no-effect"
	// ResultUnknown says that no answer told how a reset ended.
	ResultUnknown Result = "unknown"
	// ResultRestored says that a peering which a dead process had left disabled is enabled again, or needed nothing.
	ResultRestored Result = "restored"
	// ResultInterrupted says that the context ended it.
	ResultInterrupted Result = "interrupted"
)

// ResetReport tells how a reset ended.
type ResetReport struct {
	Reset
	// Primary says that the pod was the primary when it was reset.
	Primary bool
	// Stale are the stale addresses that were the reason.
	Stale []string
	// Result is ResultHealed, ResultFailed, ResultNoEffect, ResultUnknown, ResultRestored or ResultInterrupted.
	Result Result
	// Message explains a result that is not ResultHealed.
	Message string
	// Ended is when the result was known.
	Ended time.Time
}

// LookedAt counts the pods that were looked at.
func (r Report) LookedAt() int {
	count := 0
	for _, pod := range r.Pods {
		if pod.LookedAt {
			count++
		}
	}
	return count
}

// Found counts the stale peers that were found: an address once per pod and peering.
func (r Report) Found() int {
	return r.count(func(peering PeeringReport) int { return len(peering.Found) })
}

// Stale counts the stale peers that are left, an address once per pod and peering.
func (r Report) Stale() int {
	return r.count(func(peering PeeringReport) int { return len(peering.Stale) })
}

func (r Report) count(of func(PeeringReport) int) int {
	count := 0
	for _, pod := range r.Pods {
		for _, peering := range pod.Peerings {
			count += of(peering)
		}
	}
	return count
}

// Resets returns the resets of all pods.
func (r Report) Resets() []ResetReport {
	var resets []ResetReport
	for _, pod := range r.Pods {
		resets = append(resets, pod.Resets...)
	}
	return resets
}

// AllProblems returns the problems of the service and then those of the pods.
func (r Report) AllProblems() []Problem {
	problems := append([]Problem(nil), r.Problems...)
	for _, pod := range r.Pods {
		problems = append(problems, pod.Problems...)
	}
	return problems
}

// Result sums the report up: ResultInterrupted, ResultFailed, ResultWaiting, ResultHealed or ResultClean.
func (r Report) Result() Result {
	waiting := false
	failed := false
	for _, problem := range r.AllProblems() {
		if problem.Reason == ReasonInterrupted {
			return ResultInterrupted
		}
		failed = failed || !problem.Passing
		waiting = waiting || problem.Passing
	}
	switch {
	case failed:
		return ResultFailed
	case waiting:
		return ResultWaiting
	case len(r.Resets()) > 0:
		return ResultHealed
	}
	return ResultClean
}

// ConnectError is an error of [Gateways] with what the report says about it.
type ConnectError struct {
	// Problem has Reason, Message and Remedy.
	Problem Problem
	// Err is the cause, or nil.
	Err error
}

// Error returns the problem's message.
func (e *ConnectError) Error() string { return e.Problem.Message }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }
