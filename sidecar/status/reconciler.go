package status

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
)

// conflictDelay is how long to wait for the cache after the service changed
// between the last look and the write.
const conflictDelay = 200 * time.Millisecond

// eventAction is the "action" of this writer's events: what it was doing.
const eventAction = "ObserveStatus"

// Reconciler keeps this package's part of DataPowerService.status true. Make
// it with [NewReconciler].
type Reconciler struct {
	// Client reads from caches and writes to the API server.
	Client client.Client
	// Live reads from the API server. It is used before a write and when an
	// object whose keys matter has changed.
	Live client.Reader
	// Recorder tells users of transitions.
	Recorder events.EventRecorder
	// Catalogue is what the chart knows of versions and licences.
	Catalogue *catalogue.Catalogue
	// DefaultUsers are the users of a service that names none.
	DefaultUsers []v1beta3.User
	// Clock gives transition times.
	Clock clock.PassiveClock

	keys *keyReader
}

// NewReconciler returns a Reconciler that runs on the wall clock.
func NewReconciler(
	cached client.Client, live client.Reader, recorder events.EventRecorder,
	known *catalogue.Catalogue, defaultUsers []v1beta3.User,
) *Reconciler {
	return &Reconciler{
		Client: cached, Live: live, Recorder: recorder, Catalogue: known, DefaultUsers: defaultUsers,
		Clock: clock.RealClock{}, keys: newKeyReader(live),
	}
}

// Reconcile brings the status of one DataPowerService up to date. A service
// that is gone or being deleted keeps the status that it has. The error is
// that of the API server; controller-runtime then tries again, ever more
// slowly.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	seen, err := r.decide(ctx, req, r.Client)
	if err != nil || seen.upToDate {
		return seen.result(), err
	}
	seen, err = r.decide(ctx, req, r.Live)
	if err != nil || seen.upToDate {
		return seen.result(), err
	}
	service, desired := seen.service, seen.desired
	err = r.write(ctx, service, desired)
	switch {
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	case apierrors.IsConflict(err):
		log.FromContext(ctx).V(1).Info("service changed meanwhile, trying again")
		return ctrl.Result{RequeueAfter: conflictDelay}, nil
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("writing the status: %w", err)
	}
	r.tell(service, Transitions(Current(service), desired))
	return seen.result(), nil
}

// decision is what is to be written to which service.
type decision struct {
	service *v1beta3.DataPowerService
	desired Status
	// upToDate means that there is nothing to write.
	upToDate bool
	// again means that something is awaited that no event will tell.
	again bool
}

func (d decision) result() ctrl.Result {
	if d.again {
		return ctrl.Result{RequeueAfter: missingPodsDelay}
	}
	return ctrl.Result{}
}

// decide computes the status from the service and the StatefulSet as reader
// shows them.
func (r *Reconciler) decide(ctx context.Context, req ctrl.Request, reader client.Reader) (decision, error) {
	service := &v1beta3.DataPowerService{}
	if err := reader.Get(ctx, req.NamespacedName, service); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return decision{upToDate: true}, nil
		}
		return decision{}, fmt.Errorf("reading the service: %w", err)
	}
	if service.DeletionTimestamp != nil {
		return decision{service: service, upToDate: true}, nil
	}
	in, err := r.observe(ctx, r.withDefaults(service), reader)
	if err != nil {
		return decision{}, err
	}
	desired := Compute(in)
	return decision{
		service: service, desired: desired,
		upToDate: Current(service).Equal(desired), again: lacksPods(in.StatefulSet),
	}, nil
}

// withDefaults is the service as the chart sees it: with the chart's users when
// it names none.
func (r *Reconciler) withDefaults(service *v1beta3.DataPowerService) *v1beta3.DataPowerService {
	if len(service.Spec.Users) > 0 {
		return service
	}
	completed := *service
	completed.Spec.Users = r.DefaultUsers
	return &completed
}

func (r *Reconciler) tell(service *v1beta3.DataPowerService, transitions []Event) {
	for _, event := range transitions {
		r.Recorder.Eventf(service, nil, event.Type, event.Reason, eventAction, "%s", event.Note)
	}
}
