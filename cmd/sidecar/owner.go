package main

import (
	"context"
	"errors"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

const (
	// clusterRoleVariable is the environment variable that names the operator's ClusterRole, which owns the webhook
	// configurations.
	clusterRoleVariable = "NAMESPACED_NAME"
	// versionVariable is set by the Operator Lifecycle Manager to the name of the ClusterServiceVersion. Its ClusterRole has a
	// name that OLM makes up, and OLM's labels.
	versionVariable = "OPERATOR_CONDITION_NAME"
)

// Labels that OLM puts on what it makes for a ClusterServiceVersion (operator-lifecycle-manager, pkg/lib/ownerutil).
const (
	olmOwner          = "olm.owner"
	olmOwnerNamespace = "olm.owner.namespace"
	olmOwnerKind      = "olm.owner.kind"
)

// errNoClusterRole says that the operator is being uninstalled, or not yet installed to the end.
var errNoClusterRole = errors.New("there is no ClusterRole of it")

// ownerSettings tell which ClusterRole is the operator's.
type ownerSettings struct{ clusterRole, version string }

func (o *ownerSettings) readEnvironment(getenv func(string) string) {
	o.clusterRole, o.version = getenv(clusterRoleVariable), getenv(versionVariable)
}

// reader returns a function that reads the operator's ClusterRole: what it owns goes when the operator is uninstalled. Without a
// name there is no owner.
func (o *ownerSettings) reader(clients kubernetes.Interface, namespace string) func(context.Context) ([]metav1.OwnerReference, error) {
	find := func(context.Context) (*rbacv1.ClusterRole, error) { return nil, nil }
	switch {
	case o.clusterRole != "":
		find = func(ctx context.Context) (*rbacv1.ClusterRole, error) {
			found, err := clients.RbacV1().ClusterRoles().Get(ctx, o.clusterRole, metav1.GetOptions{})
			if err != nil {
				return nil, fmt.Errorf("reading the ClusterRole that %s names: %w", clusterRoleVariable, err)
			}
			return found, nil
		}
	case o.version != "":
		find = func(ctx context.Context) (*rbacv1.ClusterRole, error) {
			return roleOfVersion(ctx, clients, namespace, o.version)
		}
	}
	return func(ctx context.Context) ([]metav1.OwnerReference, error) {
		found, err := find(ctx)
		if found == nil || err != nil {
			return nil, err
		}
		return []metav1.OwnerReference{{
			APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole", Name: found.Name, UID: found.UID,
		}}, nil
	}
}

// roleOfVersion finds a ClusterRole that OLM made for a ClusterServiceVersion, the first by name.
func roleOfVersion(ctx context.Context, clients kubernetes.Interface, namespace, version string) (*rbacv1.ClusterRole, error) {
	selector := labels.Set{olmOwner: version, olmOwnerNamespace: namespace, olmOwnerKind: "ClusterServiceVersion"}.String()
	found, err := clients.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("looking for the ClusterRole of %s: %w", version, err)
	}
	if len(found.Items) == 0 {
		return nil, fmt.Errorf("reading the owner of the webhook configurations, ClusterServiceVersion %s in namespace %s: %w", version, namespace, errNoClusterRole)
	}
	first := &found.Items[0]
	for i := range found.Items {
		if found.Items[i].Name < first.Name {
			first = &found.Items[i]
		}
	}
	return first, nil
}
