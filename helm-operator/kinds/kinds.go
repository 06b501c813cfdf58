// Package kinds starts watching kinds when they are first met.
package kinds

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// syncTimeout bounds the wait for the first list of a kind; the reconcile that gives up is retried.
const syncTimeout = 30 * time.Second

// Starter starts an informer for each kind once.
type Starter struct {
	cache cache.Informers
	watch func(*metav1.PartialObjectMetadata) error

	mu    sync.Mutex
	kinds map[schema.GroupVersionKind]progress
}

type progress int

const (
	unknown progress = iota
	connected
	started
	inCache
)

// NewStarter returns a Starter of metadata informers in c. watch is called once for each kind, before its informer
// is started, to connect its events.
func NewStarter(c cache.Informers, watch func(*metav1.PartialObjectMetadata) error) *Starter {
	return &Starter{cache: c, watch: watch, kinds: map[schema.GroupVersionKind]progress{}}
}

// Ensure returns when all the kinds are in the cache. Nobody else waits meanwhile: a kind that can't be listed
// holds up only those who need it.
func (s *Starter) Ensure(ctx context.Context, gvks ...schema.GroupVersionKind) error {
	pending, err := s.startMissing(ctx, gvks)
	if err != nil || len(pending) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	for _, gvk := range pending { // all lists are under way, so this waits for the slowest only
		if _, err := s.cache.GetInformer(ctx, metadataOf(gvk)); err != nil {
			return fmt.Errorf("watch %s: %w", gvk.Kind, err)
		}
		s.mu.Lock()
		s.kinds[gvk] = inCache
		s.mu.Unlock()
	}
	return nil
}

// startMissing returns those of the kinds that are not in the cache yet.
func (s *Starter) startMissing(ctx context.Context, gvks []schema.GroupVersionKind) ([]schema.GroupVersionKind, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pending []schema.GroupVersionKind
	for _, gvk := range gvks {
		if err := s.start(ctx, gvk); err != nil {
			return nil, fmt.Errorf("watch %s: %w", gvk.Kind, err)
		}
		if s.kinds[gvk] != inCache && !slices.Contains(pending, gvk) {
			pending = append(pending, gvk)
		}
	}
	return pending, nil
}

func (s *Starter) start(ctx context.Context, gvk schema.GroupVersionKind) error {
	if s.kinds[gvk] == unknown {
		if err := s.watch(metadataOf(gvk)); err != nil {
			return err
		}
		s.kinds[gvk] = connected
	}
	if s.kinds[gvk] == connected {
		if _, err := s.cache.GetInformer(ctx, metadataOf(gvk), cache.BlockUntilSynced(false)); err != nil {
			return err
		}
		s.kinds[gvk] = started
	}
	return nil
}

func metadataOf(gvk schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(gvk)
	return obj
}
