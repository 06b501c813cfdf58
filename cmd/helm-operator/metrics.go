package main

import (
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/datapower-operator/datapower-operator/internal/metricscert"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/sidecar/leader"
)

// observability is what makes the program's metrics trusted and found.
type observability struct{ certificate metricscert.Certificate }

// add adds the certificate of the metrics endpoint and the label of the leader's pod to the manager.
func (o *observability) add(mgr manager.Manager, opts *program.Options) error {
	if err := o.certificate.SetupWithManager(mgr, opts); err != nil {
		return err
	}
	return leader.Add(mgr, opts, leader.HelmOperatorLabel)
}
