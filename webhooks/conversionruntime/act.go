package conversionruntime

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrNoImage says that nobody tells which image the Deployment is to run.
var ErrNoImage = errors.New("no image for the conversion webhook: set CONVERSION_WEBHOOK_IMAGE, or run the operator as Deployment " + OperatorName)

// sidecarContainer is the operator's container whose image the webhook runs.
const sidecarContainer = "sidecar"

// ensureObjects brings all objects but the Secrets into their desired state.
func (m *Manager) ensureObjects(ctx context.Context) error {
	build := builder{self: m.options.self(), owner: m.owner}
	// What this operator may not do with these is told, and holds nothing up: a conversion needs no rights.
	for _, ensure := range []func() error{
		func() error { return ensure(ctx, m, m.watches.accounts, build.clusterRole(), &rbacv1.ClusterRole{}) },
		func() error {
			return ensure(ctx, m, m.watches.accounts, build.clusterRoleBinding(), &rbacv1.ClusterRoleBinding{})
		},
	} {
		if err := ensure(); err != nil && !m.tellForbidden(err) {
			return err
		}
	}
	if err := ensure(ctx, m, m.watches.accounts, build.serviceAccount(), &corev1.ServiceAccount{}); err != nil {
		return err
	}
	if err := ensure(ctx, m, m.watches.runtimes, build.service(), &corev1.Service{}); err != nil {
		return err
	}
	pod, err := m.podSpec(ctx)
	if err != nil {
		return err
	}
	return ensure(ctx, m, m.watches.runtimes, build.deployment(pod), &appsv1.Deployment{})
}

// ensure brings one object into its desired state.
func ensure[T client.Object](ctx context.Context, m *Manager, c cache.Cache, desired, empty T) error {
	live, exists, err := get(ctx, c, desired.GetNamespace(), desired.GetName(), empty)
	if err != nil {
		return err
	}
	if exists && live.GetDeletionTimestamp() != nil {
		return nil // its end arrives by the watch
	}
	if exists && mustReplace(desired, live) {
		if err := m.writer.remove(ctx, live); err != nil {
			return refused(err, live)
		}
		m.options.Log.Info("deleted an object whose immutable fields were wrong", "object", describe(live))
		exists = false
	}
	changed, err := m.writer.ensure(ctx, desired, live, exists)
	if err != nil {
		return refused(err, desired)
	}
	if changed {
		m.options.Log.Info("wrote an object of the conversion webhook", "object", describe(desired))
	}
	return nil
}

// refusedError is what the API server refused for lack of rights.
type refusedError struct {
	cause  error
	object client.Object
}

func (e *refusedError) Error() string { return e.cause.Error() }
func (e *refusedError) Unwrap() error { return e.cause }

func refused(err error, object client.Object) error {
	if apierrors.IsForbidden(err) {
		return &refusedError{err, object}
	}
	return err
}

// tellForbidden tells what somebody else has to do when this operator lacks a right, and reports false for any other
// error.
func (m *Manager) tellForbidden(err error) bool {
	var lacking *refusedError
	if !errors.As(err, &lacking) {
		return false
	}
	m.forbidden = true
	m.say("forbidden "+describe(lacking.object), "lacking a right", "reason", err.Error(), "remedy", deleteCommand(lacking.object))
	m.warn(lacking.object, "Forbidden", "Delete", "The operator in namespace %s has no right to replace %s, which belongs to another one. Delete it: %s",
		m.options.Namespace, describe(lacking.object), deleteCommand(lacking.object))
	return true
}

// warn makes an event about the Deployment of the webhook. Events that differ in their note alone are taken for one, so that
// what else each is about has to be in related.
func (m *Manager) warn(related runtime.Object, reason, action, note string, args ...any) {
	about := &corev1.ObjectReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Namespace: m.options.Namespace, Name: Name}
	m.options.Events.Eventf(about, related, corev1.EventTypeWarning, reason, action, note, args...)
}

// podSpec is what the pods of the webhook get from the operator's own Deployment.
func (m *Manager) podSpec(ctx context.Context) (PodSpec, error) {
	pod := PodSpec{Image: m.options.Image, Command: m.options.Command}
	own, exists, err := get(ctx, m.watches.operators, m.options.Namespace, OperatorName, &appsv1.Deployment{})
	if err != nil {
		return pod, err
	}
	if exists {
		template := own.Spec.Template.Spec
		pod.PullSecrets = template.ImagePullSecrets
		if container := operatorContainer(template.Containers); container != nil {
			pod.PullPolicy = container.ImagePullPolicy
			if pod.Image == "" {
				pod.Image = container.Image
			}
		}
	}
	if pod.Image == "" {
		// An operator that is being uninstalled leaves the webhook as it is.
		live, exists, err := get(ctx, m.watches.runtimes, m.options.Namespace, Name, &appsv1.Deployment{})
		if err != nil {
			return pod, err
		}
		if !exists || len(live.Spec.Template.Spec.Containers) == 0 {
			return pod, ErrNoImage
		}
		pod.Image = live.Spec.Template.Spec.Containers[0].Image
	}
	return pod, nil
}

// operatorContainer is the container whose image has the sidecar.
func operatorContainer(containers []corev1.Container) *corev1.Container {
	for i := range containers {
		if containers[i].Name == sidecarContainer || len(containers) == 1 {
			return &containers[i]
		}
	}
	return nil
}

// replaceOrphan deletes an orphan in the own namespace. Its pods stay for the Deployment that is made next when that
// selects them.
func (m *Manager) replaceOrphan(ctx context.Context, orphan Runtime) error {
	live, exists, err := get(ctx, m.watches.runtimes, orphan.Namespace, Name, &appsv1.Deployment{})
	if err != nil || !exists || live.UID != orphan.UID {
		return err
	}
	policy := metav1.DeletePropagationBackground
	if equality.Semantic.DeepEqual(live.Spec.Selector, &metav1.LabelSelector{MatchLabels: selector()}) {
		policy = metav1.DeletePropagationOrphan
	}
	if err := m.writer.remove(ctx, live, client.PropagationPolicy(policy)); err != nil {
		if err = refused(err, live); m.tellForbidden(err) {
			return nil
		}
		return err
	}
	m.options.Log.Info("deleted an orphaned conversion webhook, to make it anew", "object", describe(live), "managedBy", orphan.ManagedBy)
	return nil
}

// removeOrphans deletes the webhooks of other namespaces, the Deployment last: as long as it is there, this is tried
// again.
func (m *Manager) removeOrphans(ctx context.Context, orphans []Runtime) {
	for _, orphan := range orphans {
		if err := m.removeOrphan(ctx, orphan); err != nil && !m.tellForbidden(err) {
			m.forbidden = true // tried again later, too
			m.options.Log.Error(err, "removing an orphaned conversion webhook", "namespace", orphan.Namespace)
		}
	}
}

func (m *Manager) removeOrphan(ctx context.Context, orphan Runtime) error {
	meta := metav1.ObjectMeta{Namespace: orphan.Namespace}
	named := func(name string) metav1.ObjectMeta { meta.Name = name; return meta }
	for _, leftover := range []client.Object{
		&corev1.Secret{ObjectMeta: named(SecretName)}, &corev1.Secret{ObjectMeta: named(CASecretName)},
		&corev1.ServiceAccount{ObjectMeta: named(AccountName)}, &corev1.Service{ObjectMeta: named(Name)},
	} {
		// There is no cache of these, and what has such a name belongs to the webhook.
		if err := client.IgnoreNotFound(m.client.Delete(ctx, leftover)); err != nil && !m.tellForbidden(refused(err, leftover)) {
			return fmt.Errorf("deleting %s: %w", describe(leftover), err)
		}
	}
	live, exists, err := get(ctx, m.watches.runtimes, orphan.Namespace, Name, &appsv1.Deployment{})
	if err != nil || !exists || live.UID != orphan.UID {
		return err
	}
	if err := m.writer.remove(ctx, live, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		return refused(err, live)
	}
	m.options.Log.Info("removed an orphaned conversion webhook", "namespace", orphan.Namespace, "managedBy", orphan.ManagedBy)
	return nil
}
