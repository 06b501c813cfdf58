package wiring

import (
	"path"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/controller"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

// awaited adds controllers to a manager once their kinds are served. After add it is used by one goroutine.
type awaited struct {
	mgr     manager.Manager
	offered *action.Capabilities
	waiting []controller.Options
}

// add adds a controller to the manager, or keeps it until look finds its kind. An API server that does not answer yet is
// taken to serve what is asked for: the manager ends soon if it goes on not to answer.
func (a *awaited) add(c controller.Options) error {
	w, served, err := servedVersion(a.offered, c.Watch)
	if err == nil && !served {
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
		w, served, err := servedVersion(a.offered, c.Watch)
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

// servedVersion returns the watch in the first of its versions that is served, and false when none is. A REST mapper would
// not do: it takes a kind in lower case for the kind.
func servedVersion(caps *action.Capabilities, w watches.Watch) (watches.Watch, bool, error) {
	offered, err := caps.Get()
	if err != nil {
		return w, false, err
	}
	for _, version := range append([]string{w.Version}, w.FallbackVersions...) {
		if offered.APIVersions.Has(path.Join(w.Group, version, w.Kind)) {
			w.Version = version
			return w, true, nil
		}
	}
	return w, false, nil
}
