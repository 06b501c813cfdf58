package main

import (
	"fmt"
	"sync"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/sidecar/exposure"
)

// exposureMetrics are made once, as the registry is one for the process.
var exposureMetrics = sync.OnceValues(func() (*exposure.Metrics, error) { return exposure.NewMetrics(metrics.Registry) })

// exposureSettings is what the environment says about exposed APIs; the helm-operator reads the same.
type exposureSettings struct{ oda.Settings }

// readEnvironment fails when a variable has a value that is not known.
func (e *exposureSettings) readEnvironment(getenv func(string) string) (err error) {
	e.Settings, err = oda.ReadSettings(getenv)
	return err
}

// add adds the writer of the status of exposed APIs to the manager.
func (e *exposureSettings) add(mgr ctrl.Manager, shared *program.Options) error {
	counted, err := exposureMetrics()
	if err != nil {
		return fmt.Errorf("registering the metrics of exposed APIs: %w", err)
	}
	return exposure.Add(mgr, exposure.Options{
		Settings: e.Settings, Namespaces: program.CacheNamespaces(shared.Namespaces), Clock: clock.RealClock{}, Metrics: counted,
	})
}
