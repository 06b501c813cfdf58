package controller

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/helm-operator/metrics"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
)

// reasonHibernated is the reason of Deployed when the objects were deleted on demand.
const reasonHibernated = "Hibernated"

// forget drops what is remembered and told of a resource.
func (r *Reconciler) forget(name types.NamespacedName) {
	r.memos.forget(name)
	r.metrics.Gone(name)
}

// tellMetrics tells what the release is like at the end of a reconcile, unless the resource was let go in it.
func (p *pass) tellMetrics() {
	if p.gone {
		return
	}
	release := metrics.Release{State: releaseState(p.status.Conditions)}
	if p.status.DeployedRelease != nil {
		release.Revision = p.status.DeployedRelease.Revision
	}
	p.metrics.Released(client.ObjectKeyFromObject(p.cr), release)
}

// releaseState sums the conditions up; what is wrong comes first.
func releaseState(conditions []metav1.Condition) metrics.State {
	deployed := meta.FindStatusCondition(conditions, status.Deployed)
	switch {
	case meta.IsStatusConditionTrue(conditions, status.ReleaseFailed):
		return metrics.Failed
	case meta.IsStatusConditionTrue(conditions, status.Irreconcilable):
		return metrics.Irreconcilable
	case deployed != nil && deployed.Status == metav1.ConditionTrue:
		return metrics.Deployed
	case deployed != nil && deployed.Status == metav1.ConditionFalse && deployed.Reason == reasonHibernated:
		return metrics.Uninstalled
	}
	return metrics.Pending
}
