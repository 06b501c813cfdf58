package peering

import (
	"context"
	"errors"
	"fmt"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

// Remedies that several problems have.
const (
	remedyQuorum = "If it stays so, scale the service to 0 and up again, one pod after the other when scaling down, " +
		"or run gateway-peering-switch-primary on the pod that has run longest"
	remedyPods = "Wait until the pods are ready; if a pod stays as it is, kubectl describe tells why"
)

// isMissing tells whether a gateway has not what was asked for, or hides it from the user.
func isMissing(err error) bool {
	return errors.Is(err, datapower.ErrNotFound) || errors.Is(err, datapower.ErrUnsupported)
}

// problemOf makes a problem of the error of a look or a reset.
func problemOf(pod Pod, err error) Problem {
	var connect *ConnectError
	var answered *datapower.APIError
	problem := Problem{Message: err.Error()}
	switch {
	case errors.As(err, &connect):
		return connect.Problem
	case errors.Is(err, datapower.ErrUnauthorized):
		problem.Reason = ReasonCredentialsRefused
		problem.Remedy = "The password Secret of a privileged user in spec.users of the DataPowerService must hold in its key " +
			"password the password that the gateways were started with. Restart the pods after a change of the Secret"
	case errors.Is(err, datapower.ErrCertificate):
		problem.Reason = ReasonCertificateNotTrusted
		problem.Remedy = "Name a Secret with the gateways' CAs (ca.crt) or certificates (tls.crt) in " +
			"spec.restManagement.tls.secretName of the DataPowerMonitor, or set insecureSkipVerify there for self-signed gateways"
	case errors.Is(err, datapower.ErrRefused):
		problem.Reason = ReasonInterfaceOff
		problem.Remedy = "Enable rest-mgmt in the configuration of the domain default, on the port that " +
			"spec.restManagement.port of the DataPowerMonitor names (default 5554) and on an address that the operator can reach"
	case errors.Is(err, datapower.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		problem.Reason = ReasonUnreachable
		problem.Remedy = "Check that the gateway is alive, and that network policies and proxy settings let the operator reach " +
			"its REST management port"
	case isMissing(err):
		problem.Reason = ReasonNotAuthorized
		problem.Remedy = "Give the operator a user with accessLevel privileged in spec.users of the DataPowerService"
	case errors.As(err, &answered):
		problem.Reason = ReasonGatewayError
		problem.Remedy = "See the gateway's log; restart the pod if it stays so"
	case errors.Is(err, datapower.ErrMalformed), errors.Is(err, datapower.ErrAnswerTooLarge):
		problem.Reason = ReasonBadAnswer
		problem.Remedy = "Check that port and proxy lead to the gateway's REST management interface; restart the pod if it stays so"
	default:
		problem.Reason = ReasonUnreachable
		problem.Remedy = "Check that the gateway is alive"
	}
	if !pod.Ready && (problem.Reason == ReasonInterfaceOff || problem.Reason == ReasonUnreachable || problem.Reason == ReasonGatewayError) {
		return Problem{Reason: ReasonPodNotReady, Message: "the pod is not ready: " + problem.Message, Remedy: remedyPods, Passing: true}
	}
	return problem
}

// mayPass tells whether another look may end better without anybody's doing.
func (p Problem) mayPass() bool {
	switch p.Reason {
	case ReasonUnreachable, ReasonGatewayError, ReasonBadAnswer, ReasonInterfaceOff:
		return true
	}
	return false
}

// podProblem tells why a pod is not looked at, or has an empty reason.
func podProblem(pod Pod) Problem {
	problem := Problem{Reason: ReasonPodNotReady, Remedy: remedyPods, Passing: true}
	switch {
	case pod.Terminating:
		problem.Message = "the pod terminates"
	case pod.IP == "":
		problem.Message = "the pod has no address yet"
	case !pod.Running:
		problem.Message = "the pod is not running"
	default:
		return Problem{}
	}
	return problem
}

// at says where a problem is.
func (p Problem) at(key Key) Problem {
	p.Domain, p.Peering = key.Domain, key.Peering
	return p
}

// named writes a peering for a message.
func (k Key) named() string { return fmt.Sprintf("peering %s of domain %s", k.Peering, k.Domain) }
