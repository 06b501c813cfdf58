package monitor

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
)

// Keys of the Secret that spec.restManagement.tls.secretName names.
const (
	keyAuthorities  = "ca.crt"
	keyCertificates = "tls.crt"
)

// Cluster shows the work what it needs of the cluster.
type Cluster struct {
	// Cached reads from caches, Live from the API server. Secrets are read live: the operator keeps no copies of them.
	Cached, Live client.Reader
	// DefaultUsers are the users of a service that names none.
	DefaultUsers []v1beta3.User
}

var (
	_ peering.Pods   = podsOf{}
	_ peering.Access = Cluster{}
)

// Pods shows the pods of services.
func (c Cluster) Pods() peering.Pods { return podsOf{c} }

type podsOf struct{ cluster Cluster }

// Cached implements [peering.Pods].
func (p podsOf) Cached(ctx context.Context, service peering.Service) ([]peering.Pod, error) {
	return listPods(ctx, p.cluster.Cached, service)
}

// Live implements [peering.Pods].
func (p podsOf) Live(ctx context.Context, service peering.Service) ([]peering.Pod, error) {
	return listPods(ctx, p.cluster.Live, service)
}

// listPods lists the pods that the service's StatefulSet controls.
func listPods(ctx context.Context, reader client.Reader, service peering.Service) ([]peering.Pod, error) {
	set := &appsv1.StatefulSet{}
	if err := reader.Get(ctx, client.ObjectKey{Namespace: service.Namespace, Name: service.Name}, set); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the StatefulSet: %w", err)
	}
	owner := metav1.GetControllerOf(set)
	if owner == nil || owner.UID != service.UID {
		return nil, nil
	}
	list := &corev1.PodList{}
	err := reader.List(ctx, list, client.InNamespace(service.Namespace),
		client.MatchingLabels{datapower.ServiceLabel: service.Name})
	if err != nil {
		return nil, fmt.Errorf("listing the pods: %w", err)
	}
	var pods []peering.Pod
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], set) {
			pods = append(pods, podOf(&list.Items[i]))
		}
	}
	return pods, nil
}

func podOf(pod *corev1.Pod) peering.Pod {
	facts := factsOf(pod)
	return peering.Pod{
		Name: pod.Name, UID: pod.UID, IP: facts.ip, Created: pod.CreationTimestamp.Time,
		Ready: facts.ready, Running: facts.phase == corev1.PodRunning, Terminating: facts.terminating,
	}
}

// Logins implements [peering.Access].
func (c Cluster) Logins(ctx context.Context, service peering.Service) ([]peering.Login, error) {
	object := &v1beta3.DataPowerService{}
	if err := c.Cached.Get(ctx, client.ObjectKey{Namespace: service.Namespace, Name: service.Name}, object); err != nil {
		return nil, fmt.Errorf("reading the service: %w", err)
	}
	users := object.Spec.Users
	if len(users) == 0 {
		users = c.DefaultUsers
	}
	var logins []peering.Login
	for _, user := range users {
		logins = append(logins, peering.Login{
			Name: user.Name, Secret: user.PasswordSecret, Privileged: user.AccessLevel == v1beta3.AccessLevelPrivileged,
		})
	}
	return logins, nil
}

// Settings implements [peering.Access].
func (c Cluster) Settings(ctx context.Context, service peering.Service) (peering.RestSettings, error) {
	object := &v1beta2.DataPowerMonitor{}
	if err := c.Cached.Get(ctx, client.ObjectKey{Namespace: service.Namespace, Name: service.Name}, object); err != nil {
		return peering.RestSettings{}, fmt.Errorf("reading the monitor: %w", err)
	}
	rest := ptr.Deref(object.Spec.RestManagement, v1beta2.RestManagement{})
	tls := ptr.Deref(rest.TLS, v1beta2.GatewayTLS{})
	settings := peering.RestSettings{
		Port: ptr.Deref(rest.Port, peering.DefaultPort), ServerName: tls.ServerName,
		InsecureSkipVerify: ptr.Deref(tls.InsecureSkipVerify, false),
	}
	if tls.SecretName == "" {
		return settings, nil
	}
	data, err := c.Secret(ctx, service, tls.SecretName)
	if err != nil {
		return settings, err
	}
	settings.CAs, settings.Pinned = data[keyAuthorities], data[keyCertificates]
	if len(settings.CAs) == 0 && len(settings.Pinned) == 0 {
		return settings, fmt.Errorf("Secret %q of spec.restManagement.tls.secretName does not exist or has neither %s nor %s",
			tls.SecretName, keyAuthorities, keyCertificates)
	}
	return settings, nil
}

// Secret implements [peering.Access].
func (c Cluster) Secret(ctx context.Context, service peering.Service, name string) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	if err := c.Live.Get(ctx, client.ObjectKey{Namespace: service.Namespace, Name: name}, secret); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("reading Secret %q: %w", name, err)
	}
	return secret.Data, nil
}
