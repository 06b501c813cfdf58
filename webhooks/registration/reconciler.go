package registration

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// ControllerName is the controller's name in metrics and logs.
const ControllerName = "webhook-registration"

// Use is the label of this package's certificates in metrics.
const Use = "webhooks"

// ReasonCertificateProblem is the reason of the event that tells that certificates cannot be kept.
const ReasonCertificateProblem = "CertificateProblem"

// soon is when to look again for what tells no event: the own server's first certificate.
const soon = 200 * time.Millisecond

// tellAgain is how often users are told of a problem that lasts.
const tellAgain = time.Hour

// Bounds of the time between two tries of what failed: a repair is not to wait for long.
const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 10 * time.Second
)

// Reconciler keeps certificates and configurations right. It runs on the leader.
type Reconciler struct {
	Scope Scope
	// Keeper keeps the certificates.
	Keeper *pki.Keeper
	// Secrets is where the Keeper keeps them.
	Secrets *pki.WatchedSecrets
	// Configurations are the operator's.
	Configurations *Configurations
	// Owners are what owns the configurations, read from the API server. An error means that they are not to be made:
	// without their owner nobody would remove them.
	Owners func(ctx context.Context) ([]metav1.OwnerReference, error)
	// Answers tells whether the own server answers with a certificate that the bundle proves.
	Answers func(ctx context.Context, bundle []byte) error
	// Metrics tell of the certificates.
	Metrics *pki.Metrics
	// Recorder tells users.
	Recorder events.EventRecorder

	owners []metav1.OwnerReference
	known  bool      // whether owners were read
	told   time.Time // when users were told of a problem that lasts
}

// SetupWithManager adds the controller and the watches to mgr.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	for _, watch := range []interface {
		Start(ctx context.Context) error
	}{r.Secrets, r.Configurations} {
		if err := mgr.Add(watch); err != nil {
			return fmt.Errorf("adding a watch for webhooks: %w", err)
		}
	}
	c, err := controller.New(ControllerName, mgr, controller.Options{
		Reconciler:  r,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryLast),
	})
	if err != nil {
		return fmt.Errorf("adding controller %s: %w", ControllerName, err)
	}
	return c.Watch(source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		changed := func() { queue.Add(reconcile.Request{}) }
		if err := r.Secrets.OnChange(func(string, *corev1.Secret) { changed() }); err != nil {
			return err
		}
		if err := r.Configurations.OnChange(changed); err != nil {
			return err
		}
		changed() // nothing is there at the first start
		return nil
	}))
}

// Reconcile takes the next steps. There is only one thing to reconcile, so the request says nothing.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	if !r.Secrets.Synced() || !r.Configurations.Synced() {
		return ctrl.Result{RequeueAfter: soon}, nil
	}
	kept, err := r.Keeper.Keep(ctx, published(r.Configurations.Bundles(r.Scope.Namespace)))
	r.Metrics.Kept(Use, kept, err)
	r.tell(kept, err)
	if len(kept.Wrote) > 0 {
		log.FromContext(ctx).Info("certificates of the webhooks changed", "steps", kept.Wrote, "now", kept.Why)
	}
	if len(kept.Bundle) == 0 {
		return ctrl.Result{RequeueAfter: kept.Again}, err
	}
	again, publishError := r.publish(ctx, kept)
	if publishError != nil {
		return ctrl.Result{}, publishError
	}
	return ctrl.Result{RequeueAfter: again}, err
}

// publish makes the configurations what they should be; it says when to look again.
func (r *Reconciler) publish(ctx context.Context, kept pki.Kept) (time.Duration, error) {
	if !r.known {
		if err := r.readOwners(ctx); err != nil {
			return 0, err
		}
	}
	mutating, validating := Desired(r.Scope, r.owners, kept.Bundle)
	if len(r.Configurations.wrong(mutating, validating)) == 0 {
		return kept.Again, nil
	}
	if err := r.Answers(ctx, kept.Bundle); err != nil {
		log.FromContext(ctx).V(1).Info("webhooks are not registered before they answer", "because", err.Error())
		return soon, nil
	}
	// The owner may have changed since: who names one that is gone is removed.
	if err := r.readOwners(ctx); err != nil {
		return 0, err
	}
	mutating, validating = Desired(r.Scope, r.owners, kept.Bundle)
	wrote, err := r.Configurations.write(ctx, mutating, validating)
	if len(wrote) > 0 {
		log.FromContext(ctx).Info("webhooks registered", "configurations", strings.Join(wrote, ", "))
	}
	return kept.Again, err
}

func (r *Reconciler) readOwners(ctx context.Context) error {
	owners, err := r.Owners(ctx)
	if err != nil {
		return fmt.Errorf("finding what owns the webhook configurations: %w", err)
	}
	r.owners, r.known = owners, true
	return nil
}

// tell tells users when a problem with certificates begins, and again as long as it lasts.
func (r *Reconciler) tell(kept pki.Kept, err error) {
	now := r.Keeper.Clock.Now()
	switch {
	case err == nil:
		r.told = time.Time{}
		return
	case !r.told.IsZero() && now.Sub(r.told) < tellAgain:
		return
	}
	r.told = now
	about := &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Secret", Namespace: r.Keeper.Namespace, Name: r.Keeper.LeafSecret,
	}
	present := "there is no certificate to serve"
	if !kept.LeafExpiry.IsZero() {
		present = "the present one ends at " + kept.LeafExpiry.UTC().Format(time.RFC3339)
	}
	r.Recorder.Eventf(about, nil, corev1.EventTypeWarning, ReasonCertificateProblem, "KeepCertificates",
		"The certificates of the webhooks cannot be kept, %s: %s", present, err)
}
