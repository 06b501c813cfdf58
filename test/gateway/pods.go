package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/test/gateway/config"
)

// headlessSuffix ends the name of a service's headless Service.
var headlessSuffix = datapower.HeadlessServiceName("")

// helmSecrets are Secrets that are large and no input of a gateway.
const helmSecrets = "type!=helm.sh/release.v1"

// errMissing says that an object which a pod mounts is not there yet.
var errMissing = errors.New("an object that the pod mounts is missing")

// watch follows the pods of gateways and what they may mount.
type watch struct {
	factories  []informers.SharedInformerFactory
	pods       cache.SharedIndexInformer
	configMaps corelisters.ConfigMapLister
	secrets    corelisters.SecretLister
	stopCh     chan struct{}
}

func newWatch(client kubernetes.Interface, namespace string) *watch {
	factory := func(tweak func(*metav1.ListOptions)) informers.SharedInformerFactory {
		return informers.NewSharedInformerFactoryWithOptions(client, 0,
			informers.WithNamespace(namespace), informers.WithTweakListOptions(tweak), informers.WithTransform(slim))
	}
	configMaps := factory(nil)
	secrets := factory(func(options *metav1.ListOptions) { options.FieldSelector = helmSecrets })
	pods := factory(func(options *metav1.ListOptions) { options.LabelSelector = datapower.ServiceLabel })
	return &watch{
		factories:  []informers.SharedInformerFactory{configMaps, secrets, pods},
		pods:       pods.Core().V1().Pods().Informer(),
		configMaps: configMaps.Core().V1().ConfigMaps().Lister(),
		secrets:    secrets.Core().V1().Secrets().Lister(),
		stopCh:     make(chan struct{}),
	}
}

// slim drops what nobody here reads, so that thousands of objects stay small.
func slim(object any) (any, error) {
	if accessor, is := object.(metav1.Object); is {
		accessor.SetManagedFields(nil)
		accessor.SetAnnotations(nil)
	}
	if configMap, is := object.(*corev1.ConfigMap); is {
		delete(configMap.Data, "init.sh")
		delete(configMap.Data, "health-check.js")
	}
	return object, nil
}

// start follows pods until stop. It returns when all pods that there are have been followed once. What pods mount is known
// before the first pod is.
func (w *watch) start(ctx context.Context, follow func(*corev1.Pod), forget func(types.NamespacedName)) error {
	for _, factory := range w.factories[:2] {
		factory.Start(w.stopCh)
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return fmt.Errorf("reading all %s: %w", kind, context.Cause(ctx))
			}
		}
	}
	followed, err := w.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { follow(object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { follow(object.(*corev1.Pod)) },
		DeleteFunc: func(object any) {
			if name, err := cache.DeletionHandlingObjectToName(object); err == nil {
				forget(types.NamespacedName{Namespace: name.Namespace, Name: name.Name})
			}
		},
	})
	if err != nil {
		return fmt.Errorf("following pods: %w", err)
	}
	w.factories[2].Start(w.stopCh)
	if !cache.WaitForCacheSync(ctx.Done(), followed.HasSynced) {
		return fmt.Errorf("reading all pods: %w", context.Cause(ctx))
	}
	return nil
}

// stop ends the watch and waits for the last event.
func (w *watch) stop() {
	close(w.stopCh)
	for _, factory := range w.factories {
		factory.Shutdown()
	}
}

// input collects what a pod mounts as input of the init script.
func (w *watch) input(pod *corev1.Pod) (config.Files, error) {
	volumes := map[string]*corev1.Volume{}
	for i := range pod.Spec.Volumes {
		volumes[pod.Spec.Volumes[i].Name] = &pod.Spec.Volumes[i]
	}
	input := config.Files{}
	for _, container := range pod.Spec.Containers {
		if container.Name != datapower.ContainerName {
			continue
		}
		for _, mount := range container.VolumeMounts {
			folder, isInput := strings.CutPrefix(mount.MountPath, config.InputRoot+"/")
			if volume := volumes[mount.Name]; isInput && volume != nil {
				if err := w.mount(input, folder, pod.Namespace, volume); err != nil {
					return nil, err
				}
			}
		}
	}
	return input, nil
}

// mount adds the files of a ConfigMap or Secret.
func (w *watch) mount(input config.Files, folder, namespace string, volume *corev1.Volume) error {
	switch {
	case volume.ConfigMap != nil:
		object, err := w.configMaps.ConfigMaps(namespace).Get(volume.ConfigMap.Name)
		if err != nil {
			return fmt.Errorf("%w: %w", errMissing, err)
		}
		for key, value := range object.Data {
			input[folder+"/"+key] = []byte(value)
		}
		for key, value := range object.BinaryData {
			input[folder+"/"+key] = value
		}
	case volume.Secret != nil:
		object, err := w.secrets.Secrets(namespace).Get(volume.Secret.SecretName)
		if err != nil {
			return fmt.Errorf("%w: %w", errMissing, err)
		}
		for key, value := range object.Data {
			input[folder+"/"+key] = value
		}
	}
	return nil
}

// identityOf tells a gateway from the one before it in the same pod, and whether the pod has one at all.
func identityOf(pod *corev1.Pod) (string, bool) {
	restarts := int32(0)
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == datapower.ContainerName {
			restarts = status.RestartCount
		}
	}
	live := pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != "" && pod.Labels[datapower.ServiceLabel] != ""
	return fmt.Sprintf("%s/%s/%d", pod.UID, pod.Status.PodIP, restarts), live
}

// issuer makes the certificate of a pod's gateway.
func (f *Fleet) issuer(p *pod) func() (tls.Certificate, error) {
	name := p.name.Name + "." + datapower.HeadlessServiceName(p.service.Name) + "." + p.name.Namespace + ".svc"
	return func() (tls.Certificate, error) {
		return f.options.Authority.Issue(name, name+".cluster.local", p.address)
	}
}
