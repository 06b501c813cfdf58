// Package provisioner makes persistent volumes that exist only in the API, for the claims of pods that simulated nodes "run". It is an
// external provisioner in the usual division of labour: kube-controller-manager hands claims over and binds them, this package creates
// the volumes and deletes released ones. For the pods of a real node volumes are directories.
package provisioner

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// Name is the value of a StorageClass's field provisioner that makes this package serve its claims.
const Name = "cluster.datapower.test/simulated"

// firstRetry and lastRetry bound the wait before a failed attempt is repeated.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// item is what the queue holds: a claim (with namespace) or a volume (without).
type item struct {
	namespace, name string
}

type controller struct {
	client  kubernetes.Interface
	dir     string
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	classes storagelisters.StorageClassLister
	queue   workqueue.TypedRateLimitingInterface[item]
}

// simulatedDir is where volumes seem to be that nothing mounts, as pods of simulated nodes run nothing.
const simulatedDir = "/simulated"

// Run provisions volumes until ctx ends, then waits for its own goroutines. Volumes are directories in dir, which anybody may write to
// (hostPath volumes don't know fsGroup); with an empty dir they exist in the API only. Failed calls are repeated with growing pauses and reported
// through the client library's error handlers.
func Run(ctx context.Context, client kubernetes.Interface, dir string) {
	factory := informers.NewSharedInformerFactory(client, 0)
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	classes := factory.Storage().V1().StorageClasses()
	c := &controller{
		client: client, dir: dir, claims: claims.Lister(), volumes: volumes.Lister(), classes: classes.Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[item](firstRetry, lastRetry)),
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		// Adding a handler fails only for an informer that was stopped.
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    c.enqueue,
			UpdateFunc: func(_, object any) { c.enqueue(object) },
		})
		if err != nil {
			runtime.HandleErrorWithContext(ctx, err, "Cannot watch")
		}
	}
	classes.Informer() // registers it with the factory
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)

	var worker sync.WaitGroup
	worker.Go(func() {
		for c.next(ctx) {
		}
	})
	<-ctx.Done()
	c.queue.ShutDown()
	worker.Wait()
	factory.Shutdown()
}

func (c *controller) enqueue(object any) {
	if accessor, ok := object.(metav1.Object); ok {
		c.queue.Add(item{namespace: accessor.GetNamespace(), name: accessor.GetName()})
	}
}

// next works on one item; it returns false when the queue was shut down.
func (c *controller) next(ctx context.Context) bool {
	key, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(key)
	if err := c.sync(ctx, key); err != nil {
		if ctx.Err() == nil {
			runtime.HandleErrorWithContext(ctx, err, "Cannot provision", "namespace", key.namespace, "name", key.name)
		}
		c.queue.AddRateLimited(key)
		return true
	}
	c.queue.Forget(key)
	return true
}

func (c *controller) sync(ctx context.Context, key item) error {
	if key.namespace != "" {
		return c.syncClaim(ctx, key)
	}
	return c.syncVolume(ctx, key.name)
}

func (c *controller) syncClaim(ctx context.Context, key item) error {
	claim, err := c.claims.PersistentVolumeClaims(key.namespace).Get(key.name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up the claim: %w", err)
	}
	if !isHandedOver(claim) {
		return nil
	}
	class, err := c.classes.Get(*claim.Spec.StorageClassName)
	if err != nil {
		return fmt.Errorf("look up the class of the claim: %w", err)
	}
	if !wantsVolume(claim, class) {
		return nil
	}
	volume := newVolume(claim, class, cmp.Or(c.dir, simulatedDir))
	if c.dir != "" {
		if err := makeDirectory(volume.Spec.HostPath.Path); err != nil {
			return err
		}
	}
	_, err = c.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create the volume: %w", err)
	}
	return nil
}

func (c *controller) syncVolume(ctx context.Context, name string) error {
	volume, err := c.volumes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up the volume: %w", err)
	}
	if !isGarbage(volume) {
		return nil
	}
	preconditions := &metav1.Preconditions{UID: &volume.UID, ResourceVersion: &volume.ResourceVersion}
	err = c.client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{Preconditions: preconditions})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) { // a conflict comes with an event of its own
		return fmt.Errorf("delete the volume: %w", err)
	}
	if c.dir == "" {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(c.dir, name)); err != nil {
		return fmt.Errorf("delete the volume's files: %w", err)
	}
	return nil
}

// makeDirectory makes a volume's directory; the mode is set apart from making it, because the umask would take from it.
func makeDirectory(path string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("make the volume's directory: %w", err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		return fmt.Errorf("make the volume's directory: %w", err)
	}
	return nil
}
