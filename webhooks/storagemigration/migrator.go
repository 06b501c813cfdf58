package storagemigration

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/flowcontrol"
)

// Options are what a [Migrator] needs.
type Options struct {
	// Objects reads and patches the objects of the definition.
	Objects metadata.Interface
	// Definitions reads and patches the definition.
	Definitions Definitions
	// PerSecond bounds the writes.
	PerSecond float32
	// PageSize is how many objects are listed at once.
	PageSize int64
	// Metrics may be nil.
	Metrics *Metrics
	// Log tells of progress.
	Log logr.Logger
}

// Defaults of [Options].
const (
	DefaultPerSecond = 20
	DefaultPageSize  = 100
)

// Pauses between tries that fail.
var pauses = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.1, Steps: 7, Cap: time.Minute}

// Migrator migrates in the background. It is a runnable of a manager that needs leadership.
type Migrator struct {
	options Options
	pending chan *apiextensionsv1.CustomResourceDefinition // holds the last one
}

// New makes a Migrator.
func New(options Options) *Migrator {
	return &Migrator{options: options, pending: make(chan *apiextensionsv1.CustomResourceDefinition, 1)}
}

// Notify tells of the present state of a definition whose conversion works. It returns at once. One goroutine at a
// time may call it.
func (m *Migrator) Notify(definition *apiextensionsv1.CustomResourceDefinition) {
	m.options.Metrics.needed(Needed(definition))
	if !Needed(definition) {
		return
	}
	select {
	case <-m.pending: // an older state
	default:
	}
	m.pending <- definition
}

// NeedLeaderElection says that one replica migrates.
func (m *Migrator) NeedLeaderElection() bool { return true }

// Start migrates what Notify tells of until ctx ends.
func (m *Migrator) Start(ctx context.Context) error {
	backoff := pauses
	for {
		select {
		case <-ctx.Done():
			return nil
		case definition := <-m.pending:
			err := m.migrate(ctx, definition)
			switch {
			case ctx.Err() != nil:
				return nil
			case err == nil:
				backoff = pauses
				continue
			case errors.Is(err, ErrChanged):
				m.options.Log.V(1).Info("starting the migration anew", "reason", err.Error())
			default:
				m.options.Log.Error(err, "the migration to the storage version did not end; trying again")
			}
			if !m.again(ctx, definition, backoff.Step()) {
				return nil
			}
		}
	}
}

// again puts a definition back after a pause, unless a newer state has arrived. It reports false when ctx has ended.
func (m *Migrator) again(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
	}
	fresh, err := m.options.Definitions.Get(ctx, definition.Name, metav1.GetOptions{})
	if err == nil {
		definition = fresh
	}
	if Needed(definition) {
		select {
		case m.pending <- definition:
		default: // a newer state waits
		}
	}
	return true
}

func (m *Migrator) migrate(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition) error {
	work := &migration{
		objects: m.options.Objects, definitions: m.options.Definitions, pageSize: m.options.PageSize,
		limit:   flowcontrol.NewTokenBucketRateLimiter(m.options.PerSecond, max(1, int(m.options.PerSecond))),
		metrics: m.options.Metrics, log: m.options.Log,
	}
	return work.run(ctx, definition)
}
