package main

import (
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/internal/metricscert"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/sidecar/leader"
	"github.com/datapower-operator/datapower-operator/sidecar/resourcemetrics"
)

// observability is what makes the program's metrics trusted and found.
type observability struct{ certificate metricscert.Certificate }

// add adds the certificate of the metrics endpoint, the metrics of resources and the label of the leader's pod to the
// manager.
func (o *observability) add(mgr ctrl.Manager, opts *program.Options) error {
	if err := o.certificate.SetupWithManager(mgr, opts); err != nil {
		return err
	}
	resources := resourcemetrics.New(mgr.GetCache(), opts.Replica().Acts)
	if err := program.Replace(metrics.Registry, resources); err != nil {
		return fmt.Errorf("registering the metrics of resources: %w", err)
	}
	if err := resources.SetupWithManager(mgr); err != nil {
		return err
	}
	return leader.Add(mgr, opts, leader.Label)
}
