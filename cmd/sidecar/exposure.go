package main

import (
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/internal/program"
	"github.com/datapower-operator/datapower-operator/sidecar/exposure"
)

// exposureSettings is what the environment says about exposed APIs; the helm-operator reads the same.
type exposureSettings struct{ oda.Settings }

// readEnvironment fails when a variable has a value that is not known.
func (e *exposureSettings) readEnvironment(getenv func(string) string) (err error) {
	e.Settings, err = oda.ReadSettings(getenv)
	return err
}

// add adds the writer of the status of exposed APIs to the manager.
func (e *exposureSettings) add(mgr ctrl.Manager, shared *program.Options) error {
	return exposure.Add(mgr, exposure.Options{
		Settings: e.Settings, Namespaces: program.CacheNamespaces(shared.Namespaces), Clock: clock.RealClock{},
	})
}
