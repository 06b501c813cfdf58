package wiring

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/datapower-operator/datapower-operator/helm-operator/controller"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

// awaited adds controllers to a manager once their kinds are served. After add it is used by one goroutine.
type awaited struct {
	mgr     manager.Manager
	waiting []controller.Options
}

// add adds a controller to the manager, or keeps it until look finds its kind.
func (a *awaited) add(c controller.Options) error {
	w, served, err := servedVersion(a.mgr.GetRESTMapper(), c.Watch)
	if err != nil {
		return err
	}
	if !served {
		a.mgr.GetLogger().Info("waiting for the definition of a kind", "kind", c.Watch.GroupKind().String(), "version", c.Watch.Version)
		a.waiting = append(a.waiting, c)
		return nil
	}
	c.Watch = w
	return controller.Add(a.mgr, c)
}

// look adds the controllers whose kinds are served by now. What goes wrong is tried again at the next change.
func (a *awaited) look() {
	for _, c := range slices.Clone(a.waiting) {
		w, served, err := servedVersion(a.mgr.GetRESTMapper(), c.Watch)
		if err == nil && !served {
			continue
		}
		kind := c.Watch.GroupKind()
		if err == nil {
			c.Watch = w
			err = controller.Add(a.mgr, c)
		}
		if err != nil {
			a.mgr.GetLogger().Error(err, "cannot watch a kind yet", "kind", kind.String())
			continue
		}
		a.waiting = slices.DeleteFunc(a.waiting, func(o controller.Options) bool { return o.Watch.GroupKind() == kind })
		a.mgr.GetLogger().Info("watching a kind whose definition came", "kind", kind.String(), "version", w.Version)
	}
}

// servedVersion returns the watch in the first of its versions that is served, and false when none is.
func servedVersion(mapper meta.RESTMapper, w watches.Watch) (watches.Watch, bool, error) {
	for _, version := range append([]string{w.Version}, w.FallbackVersions...) {
		_, err := mapper.RESTMapping(schema.GroupKind{Group: w.Group, Kind: w.Kind}, version)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return w, false, fmt.Errorf("look up kind: %w", err)
		}
		w.Version = version
		return w, true, nil
	}
	return w, false, nil
}
