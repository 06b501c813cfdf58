package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// ErrNotOwner says that what is registered does not belong to this version of the operator yet.
var ErrNotOwner = errors.New("the webhook configurations do not belong to this version of the operator yet")

// Succession makes the owner of this version of the operator an owner of what the version that leads has registered, in every replica
// and before it is ready. The Operator Lifecycle Manager deletes the owner of the last version once the replicas of the next one are
// ready, maybe before one of them leads: what had no other owner would be deleted with it.
type Succession struct {
	// Configurations, and the Secrets of these names, are what is owned. Both are watched by the manager.
	Configurations *Configurations
	Secrets        *pki.WatchedSecrets
	SecretNames    []string
	// Owners are the owners, read from the API server.
	Owners func(ctx context.Context) ([]metav1.OwnerReference, error)
	// Log tells what fails.
	Log logr.Logger

	done atomic.Bool
}

// SetupWithManager adds the succession to mgr, whose readiness waits for it.
func (s *Succession) SetupWithManager(mgr ctrl.Manager) error {
	if err := mgr.Add(s); err != nil {
		return fmt.Errorf("adding the succession of webhook configurations: %w", err)
	}
	return mgr.AddReadyzCheck("webhook-owner", s.Check)
}

// NeedLeaderElection says that every replica claims.
func (s *Succession) NeedLeaderElection() bool { return false }

// Start claims what there is, until that succeeds or ctx ends.
func (s *Succession) Start(ctx context.Context) error {
	for wait := soon; ; wait = min(2*wait, retryLast) {
		err := s.claim(ctx)
		if err == nil {
			s.done.Store(true)
			return nil
		}
		if !errors.Is(err, errNotLookedFor) {
			s.Log.V(1).Info("this version cannot own the webhook configurations yet", "because", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// errNotLookedFor says that the watches have not begun.
var errNotLookedFor = errors.New("what is registered was not looked for yet")

func (s *Succession) claim(ctx context.Context) error {
	if !s.Secrets.Synced() || !s.Configurations.Synced() {
		return errNotLookedFor
	}
	owners, err := s.Owners(ctx)
	if err != nil {
		return fmt.Errorf("finding what owns the webhook configurations: %w", err)
	}
	return errors.Join(s.Configurations.claim(ctx, owners), pki.Claim(ctx, s.Secrets, s.SecretNames, owners))
}

// Check implements controller-runtime's healthz.Checker.
func (s *Succession) Check(*http.Request) error {
	if !s.done.Load() {
		return ErrNotOwner
	}
	return nil
}
