package resourcemetrics

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// AddCacheOptions keeps of quotas only what the metrics tell.
func AddCacheOptions(byObject map[client.Object]cache.ByObject) {
	byObject[&corev1.ResourceQuota{}] = cache.ByObject{Transform: slimQuota}
}

func slimQuota(object any) (any, error) {
	if quota, ok := object.(*corev1.ResourceQuota); ok {
		quota.ObjectMeta = metav1.ObjectMeta{
			Name: quota.Name, Namespace: quota.Namespace, UID: quota.UID, ResourceVersion: quota.ResourceVersion,
		}
		quota.Spec = corev1.ResourceQuotaSpec{}
	}
	return object, nil
}

// SetupWithManager fills the caches that the collector reads, on the leader only.
func (c *Collector) SetupWithManager(mgr ctrl.Manager) error {
	err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for _, object := range []client.Object{&v1beta3.DataPowerService{}, &v1beta2.DataPowerMonitor{}, &corev1.ResourceQuota{}} {
			if _, err := mgr.GetCache().GetInformer(ctx, object); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("watching what metrics tell of: %w", err)
			}
		}
		c.Synced()
		return nil
	}))
	if err != nil {
		return fmt.Errorf("adding the metrics of resources: %w", err)
	}
	return nil
}
