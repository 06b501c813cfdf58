// Package controller reconciles the custom resources of one watch with their Helm release. It
// gathers what package state decides on, runs the action that follows, and writes the status once.
package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/control"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/metrics"
	"github.com/datapower-operator/datapower-operator/helm-operator/references"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
	"github.com/datapower-operator/datapower-operator/helm-operator/values"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

const (
	// Finalizer keeps a custom resource until its release is uninstalled, as operator-sdk spells it.
	Finalizer = "helm.sdk.operatorframework.io/uninstall-release"
	// LegacyFinalizer is what older operators (and helm-operator-plugins) set; it is honoured and
	// removed with ours.
	LegacyFinalizer = "uninstall-helm-release"
	// IgnoreDriftAnnotation on a custom resource adds to the watch's ignoreDrift rules:
	// "StatefulSet:/spec/replicas,Service:/spec/type".
	IgnoreDriftAnnotation = "helm.sdk.operatorframework.io/ignore-drift"
	// periodJitter spreads the periodic reconciles of many resources.
	periodJitter = 0.1
	// conflictRetry is the wait after somebody else changed the resource between read and write.
	conflictRetry = 200 * time.Millisecond
	// statusTimeout bounds the final status write, which runs even when the reconcile was
	// cancelled.
	statusTimeout = 5 * time.Second
)

// Reconciler reconciles the custom resources of one watch.
type Reconciler struct {
	client     client.Client // reads resources of the watch live, as it does all unstructured objects
	resources  client.Reader // cached
	config     *rest.Config
	watch      watches.Watch
	chart      *chart.Source
	overrides  *values.Overrides
	mapper     mapper.Mapper
	actions    *action.Factory
	dependents *dependents.Watcher
	references *references.Tracker
	// orphans finds what carries a resource's mark and no owner reference (see orphans.Find).
	orphans  func(context.Context, types.UID) ([]inventory.Ref, error)
	recorder events.EventRecorder
	clock    clock.PassiveClock
	metrics  metrics.Kind
	memos    memos
	// write writes a status, see status.Write.
	write func(ctx context.Context, c client.Client, cr *unstructured.Unstructured, before, after status.Status) error
}

// pass is one run of Reconcile over one custom resource.
type pass struct {
	*Reconciler
	log     logr.Logger
	cr      *unstructured.Unstructured
	memo    *memo
	status  status.Status
	control control.Control
	// raised are the warnings that hold in this reconcile.
	raised map[string]bool
	// lacking says which kinds the API server does not serve that the release should have objects of, "" for none.
	lacking string
	// requeue asks for another reconcile after this time; 0 asks for none.
	requeue time.Duration
	// gone tells that the resource was let go: nothing more is to be told of it.
	gone bool
}

// Reconcile brings the release of one custom resource in line with it.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (result reconcile.Result, err error) {
	cr := &unstructured.Unstructured{}
	cr.SetGroupVersionKind(r.watch.GroupVersionKind)
	if err := r.resources.Get(ctx, req.NamespacedName, cr); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return reconcile.Result{}, r.references.Register(ctx, req.NamespacedName, nil)
		}
		return reconcile.Result{}, fmt.Errorf("read resource: %w", err)
	}
	if !r.watch.Selector.Matches(labelsOf(cr)) {
		// One that this process never reconciled may be another operator's. One that is being deleted is finished.
		known := r.memos.has(req.NamespacedName, cr.GetUID())
		switch {
		case !known:
			return reconcile.Result{}, nil
		case cr.GetDeletionTimestamp().IsZero():
			return r.letGo(ctx, cr)
		}
	}
	p, err := r.newPass(ctx, cr)
	if err != nil {
		return reconcile.Result{}, err
	}
	defer func() { err = errors.Join(err, p.writeStatus(ctx)) }()
	if !cr.GetDeletionTimestamp().IsZero() {
		return p.result(p.finalize(ctx))
	}
	if err := p.ensureFinalizer(ctx); err != nil {
		return p.result(err)
	}
	p.set(status.Initialized, metav1.ConditionTrue, "Accepted", "")
	return p.result(p.steer(ctx))
}

// letGo takes the finalizer off a resource that has left the selector and leaves everything else to whoever selects it
// now.
func (r *Reconciler) letGo(ctx context.Context, cr *unstructured.Unstructured) (reconcile.Result, error) {
	key := client.ObjectKeyFromObject(cr)
	patch := client.MergeFromWithOptions(cr.DeepCopy(), client.MergeFromWithOptimisticLock{})
	ours := controllerutil.RemoveFinalizer(cr, Finalizer)
	if legacy := controllerutil.RemoveFinalizer(cr, LegacyFinalizer); ours || legacy {
		err := client.IgnoreNotFound(r.client.Patch(ctx, cr, patch))
		if apierrors.IsConflict(err) {
			return reconcile.Result{RequeueAfter: conflictRetry}, nil
		}
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("remove finalizer: %w", err)
		}
		log.FromContext(ctx).Info("let go of a resource that left the selector")
	}
	r.forget(key)
	return reconcile.Result{}, r.references.Register(ctx, key, nil)
}

// steer follows the user's annotations, and converges unless they say otherwise.
func (p *pass) steer(ctx context.Context) error {
	for _, problem := range p.control.Invalid {
		p.warnOnce("InvalidAnnotation", problem)
	}
	if err := p.annotate(ctx); err != nil {
		return err
	}
	switch {
	case p.control.Paused:
		if !p.control.Until.IsZero() {
			p.requeue = max(p.control.Until.Sub(p.clock.Now()), time.Second)
		}
		p.log.V(1).Info("paused", "until", p.control.Until)
		return nil
	case p.control.Hibernate:
		return p.hibernate(ctx)
	}
	return p.converge(ctx)
}

// annotate notes when a pause ends, and clears it afterwards.
func (p *pass) annotate(ctx context.Context) error {
	if len(p.control.Set)+len(p.control.Remove) == 0 {
		return nil
	}
	patch := client.MergeFromWithOptions(p.cr.DeepCopy(), client.MergeFromWithOptimisticLock{})
	annotations := p.cr.GetAnnotations()
	maps.Copy(annotations, p.control.Set)
	for _, key := range p.control.Remove {
		delete(annotations, key)
	}
	p.cr.SetAnnotations(annotations)
	if err := p.client.Patch(ctx, p.cr, patch); err != nil {
		return fmt.Errorf("note the end of the pause: %w", err)
	}
	return nil
}

// hibernate deletes what the chart rendered and keeps the resource.
func (p *pass) hibernate(ctx context.Context) error {
	actions, err := p.helm(ctx)
	if err != nil {
		return err
	}
	done, err := p.uninstall(ctx, actions, p.control.UninstallWait)
	if err != nil {
		p.set(status.ReleaseFailed, metav1.ConditionTrue, "UninstallError", err.Error())
		return err
	}
	if !done {
		p.requeue = time.Second
	}
	p.memo.digest, p.memo.inventory, p.memo.deployed, p.memo.lost = "", nil, nil, nil
	p.status.DeployedRelease = nil
	p.status.ObservedGeneration = p.cr.GetGeneration()
	p.set(status.Deployed, metav1.ConditionFalse, reasonHibernated, "the objects are deleted until annotation "+datapower.HibernateAnnotation+" is removed")
	p.set(status.ReleaseFailed, metav1.ConditionFalse, "Hibernated", "")
	p.set(status.Irreconcilable, metav1.ConditionFalse, "Hibernated", "")
	return nil
}

// newPass starts from the status that was written last. The cache may not show it yet, and applying
// an older one would take back what has been told since.
func (r *Reconciler) newPass(ctx context.Context, cr *unstructured.Unstructured) (*pass, error) {
	m := r.memos.get(client.ObjectKeyFromObject(cr), cr.GetUID())
	found, err := status.Read(cr)
	if err != nil {
		return nil, err
	}
	// What differs long after the last write was changed by somebody else, and is put right. Before that it may be the cache
	// that lags, and is looked at again.
	var again time.Duration
	switch {
	case m.status == nil:
		m.status = &found
	case reflect.DeepEqual(*m.status, found):
	case r.clock.Since(m.statusWritten) > cacheLag:
		m.status = &found
	default:
		again = cacheLag
	}
	return &pass{
		Reconciler: r, log: log.FromContext(ctx), cr: cr, memo: m, status: m.status.Copy(), requeue: again,
		control: control.Read(cr.GetAnnotations(), r.clock.Now()), raised: map[string]bool{},
	}, nil
}

// writeStatus is the one status write of a reconcile. A cancelled reconcile still tells what it
// did.
func (p *pass) writeStatus(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTimeout)
	defer cancel()
	if err := p.write(ctx, p.client, p.cr, *p.memo.status, p.status); err != nil {
		return err
	}
	if !reflect.DeepEqual(*p.memo.status, p.status) {
		p.memo.statusWritten = p.clock.Now()
	}
	written := p.status.Copy()
	p.memo.status = &written
	p.tellMetrics()
	return nil
}

func (p *pass) result(err error) (reconcile.Result, error) {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return reconcile.Result{}, nil // the deletion of the resource comes as an event
	case apierrors.IsConflict(err):
		p.log.V(1).Info("looking again", "conflict", err.Error())
		return reconcile.Result{RequeueAfter: conflictRetry}, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	period := p.watch.ReconcilePeriod
	if p.control.Period > 0 {
		period = p.control.Period
	}
	if p.requeue == 0 && period > 0 {
		p.requeue = wait.Jitter(period, periodJitter)
	}
	return reconcile.Result{RequeueAfter: p.requeue}, nil
}

func (p *pass) ensureFinalizer(ctx context.Context) error {
	if controllerutil.ContainsFinalizer(p.cr, Finalizer) || controllerutil.ContainsFinalizer(p.cr, LegacyFinalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(p.cr.DeepCopy(), client.MergeFromWithOptimisticLock{})
	controllerutil.AddFinalizer(p.cr, Finalizer)
	if err := p.client.Patch(ctx, p.cr, patch); err != nil {
		return fmt.Errorf("add finalizer: %w", err)
	}
	return nil
}

// finalize uninstalls the release and lets the resource go.
func (p *pass) finalize(ctx context.Context) error {
	if !controllerutil.ContainsFinalizer(p.cr, Finalizer) && !controllerutil.ContainsFinalizer(p.cr, LegacyFinalizer) {
		return nil
	}
	actions, err := p.helm(ctx)
	if err != nil {
		return err
	}
	done, err := p.uninstall(ctx, actions, p.control.UninstallWait)
	if err == nil && done && *p.memo.lost {
		if p.gone, err = p.isLetGo(ctx); p.gone {
			p.forget(client.ObjectKeyFromObject(p.cr))
			return nil
		}
		if err == nil {
			err = p.deleteOrphans(ctx, actions)
		}
	}
	if err != nil {
		p.set(status.ReleaseFailed, metav1.ConditionTrue, "UninstallError", err.Error())
		p.event(corev1.EventTypeWarning, "UninstallFailed", "Uninstall", err.Error())
		return err
	}
	if !done {
		p.requeue = time.Second
		return nil
	}
	patch := client.MergeFromWithOptions(p.cr.DeepCopy(), client.MergeFromWithOptimisticLock{})
	controllerutil.RemoveFinalizer(p.cr, Finalizer)
	controllerutil.RemoveFinalizer(p.cr, LegacyFinalizer)
	if err := client.IgnoreNotFound(p.client.Patch(ctx, p.cr, patch)); err != nil {
		return fmt.Errorf("remove finalizer: %w", err)
	}
	p.log.Info("uninstalled")
	p.forget(client.ObjectKeyFromObject(p.cr))
	p.gone = true
	return nil
}

// isLetGo tells whether an earlier reconcile has let the resource go, which the cache may not know yet. Without a release it
// looks like one whose release was lost, for which every kind of the API server is asked.
func (p *pass) isLetGo(ctx context.Context) (bool, error) {
	now := &unstructured.Unstructured{}
	now.SetGroupVersionKind(p.watch.GroupVersionKind)
	err := p.client.Get(ctx, client.ObjectKeyFromObject(p.cr), now)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("read the resource again: %w", err)
	}
	return err != nil || now.GetUID() != p.cr.GetUID() ||
		!controllerutil.ContainsFinalizer(now, Finalizer) && !controllerutil.ContainsFinalizer(now, LegacyFinalizer), nil
}

// helm returns a client for Helm's verbs with the drift rules of the watch and of the resource.
func (p *pass) helm(ctx context.Context) (*action.Client, error) {
	own, err := drift.Parse(p.cr.GetAnnotations()[IgnoreDriftAnnotation])
	if err != nil {
		p.warnOnce("InvalidAnnotation", fmt.Sprintf("annotation %s: %v", IgnoreDriftAnnotation, err))
	}
	rules := append(slices.Clone(p.watch.IgnoreDrift), own...)
	return p.actions.For(ctx, p.cr, action.Options{
		Intruders: p.watch.DriftManagers, Ignored: rules, Lookup: p.watch.DryRunOption == watches.DryRunServer,
	})
}

func (p *pass) set(conditionType string, s metav1.ConditionStatus, reason, message string) {
	p.status.Set(p.cr.GetGeneration(), conditionType, s, reason, message)
}

// event tells the user. Events that agree in reason and action are counted as one, with the note of
// the first, so what tells two events apart belongs into the action.
func (p *pass) event(eventType, reason, what, note string) {
	p.recorder.Eventf(p.cr, nil, eventType, reason, cut(what, maxAction), "%s", cut(note, maxNote))
}

// Limits of the events API, in bytes.
const (
	maxAction = 128
	maxNote   = 1024
)

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-3], "") + "..."
}
