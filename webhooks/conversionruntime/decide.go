package conversionruntime

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Operator is one instance of the operator: where its Deployment is.
type Operator struct {
	Namespace string
	Name      string
}

// String is the form in which annotations name an operator, "<namespace>/<name>".
func (o Operator) String() string { return o.Namespace + "/" + o.Name }

// parseOperator reads the value of an annotation. A value without a slash, which earlier operators may have written, is
// the name of a Deployment in the namespace of the object with the annotation.
func parseOperator(value, namespace string) (Operator, bool) {
	if before, after, found := strings.Cut(value, "/"); found {
		return Operator{before, after}, before != "" && after != ""
	}
	return Operator{namespace, value}, value != ""
}

// Runtime is a conversion Deployment that was found in some namespace.
type Runtime struct {
	Namespace       string
	ManagedBy       string // the annotation's value
	UID             types.UID
	ResourceVersion string
	// Going says that it is being deleted.
	Going bool
}

// World is what a decision depends on.
type World struct {
	// Self is this operator.
	Self Operator
	// Operators are the instances that exist.
	Operators []Operator
	// Runtimes are the conversion Deployments of all namespaces.
	Runtimes []Runtime
	// Holder is the value of the definition's annotation.
	Holder string
	// Held says that this process has been the holder before.
	Held bool
}

// Role is what an instance of the operator is to do.
type Role string

// Roles.
const (
	// RoleStandBy leaves everything to another instance.
	RoleStandBy Role = "StandBy"
	// RoleClaim writes the name of this instance into the definition.
	RoleClaim Role = "Claim"
	// RoleManage keeps the webhook right.
	RoleManage Role = "Manage"
)

// Decision is what to do.
type Decision struct {
	Role Role
	// Manager is the other instance, for RoleStandBy.
	Manager Operator
	// Why is for humans.
	Why string
	// Replace is an orphan in the own namespace, which has to go before the own Deployment can be made.
	Replace *Runtime
	// Remove are Deployments in other namespaces, which have to go once the own one serves.
	Remove []Runtime
}

// Decide tells who manages the webhook. It is pure.
func Decide(w World) Decision {
	self := w.Self.String()
	if w.Holder != self {
		return w.contend()
	}
	d := Decision{Role: RoleManage, Why: "the definition names this operator"}
	for _, runtime := range w.Runtimes {
		switch {
		case runtime.Going:
		case runtime.Namespace != w.Self.Namespace:
			d.Remove = append(d.Remove, runtime)
		case runtime.ManagedBy != self:
			d.Replace = &runtime
		}
	}
	return d
}

// contend decides for an operator that the definition does not name.
func (w World) contend() Decision {
	if w.Holder != "" {
		if holder, ok := parseOperator(w.Holder, ""); ok && slices.Contains(w.Operators, holder) {
			return Decision{Role: RoleStandBy, Manager: holder, Why: "the definition names it, and it exists"}
		}
	}
	for _, runtime := range w.Runtimes {
		manager, ok := parseOperator(runtime.ManagedBy, runtime.Namespace)
		if ok && manager != w.Self && !runtime.Going && slices.Contains(w.Operators, manager) {
			return Decision{Role: RoleStandBy, Manager: manager,
				Why: fmt.Sprintf("it manages the Deployment in namespace %s", runtime.Namespace)}
		}
	}
	if w.Held && w.Holder != "" && !slices.Contains(w.Operators, w.Self) {
		// Outside a cluster no Deployment says that an operator exists. Two such operators would take the definition
		// from each other for ever: the one that was started last keeps it.
		holder, _ := parseOperator(w.Holder, "")
		return Decision{Role: RoleStandBy, Manager: holder, Why: "it was started later, and neither of both has a Deployment"}
	}
	return Decision{Role: RoleClaim, Why: "no operator that exists manages the webhook"}
}
