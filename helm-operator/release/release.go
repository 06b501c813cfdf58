// Package release reads what Helm's storage knows of a release and computes the digest that tells
// whether a release was made from the inputs of today.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/chartutil"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// DigestLabel on a release (and so on its Secret) holds the digest of the inputs that the
// release was rendered from.
const DigestLabel = "helm.sdk.operatorframework.io/inputs-digest"

// OwnerKindLabel on a release Secret holds the kind of the custom resource that the release belongs to (see OwnerOf).
// Releases are named after their resource, and resources of two kinds may have one name.
const OwnerKindLabel = "helm.sdk.operatorframework.io/owner-kind"

// OwnerOf is the value of OwnerKindLabel for a kind: "Kind.group", shortened to what a label may hold.
func OwnerOf(kind schema.GroupKind) string {
	name := kind.String()
	if len(name) <= maxLabel {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:maxLabel-17], "-.") + "-" + hex.EncodeToString(sum[:8])
}

// maxLabel is the greatest length of a label's value.
const maxLabel = 63

// Revision is what matters of one stored revision.
type Revision struct {
	Version int
	Status  helmrelease.Status
	Digest  string
	Chart   string
	// Owner is the kind of the resource that the release belongs to (see OwnerOf), "" for releases of others.
	Owner       string
	Time        time.Time
	Description string
	// Interrupted says that the process died while it worked on this revision.
	Interrupted bool
}

// History of a release, newest revision first; empty when there is none.
type History []Revision

// Read loads the history of a release together with Helm's own records in the same order.
func Read(s *storage.Storage, name string) (History, []*helmrelease.Release, error) {
	rels, err := s.History(name)
	if err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil, fmt.Errorf("read release history: %w", err)
	}
	slices.SortFunc(rels, func(a, b *helmrelease.Release) int { return b.Version - a.Version })
	h := make(History, 0, len(rels))
	for _, r := range rels {
		h = append(h, revisionOf(r))
	}
	return h, rels, nil
}

func revisionOf(r *helmrelease.Release) Revision {
	rev := Revision{Version: r.Version, Digest: r.Labels[DigestLabel], Owner: r.Labels[OwnerKindLabel]}
	if r.Info != nil {
		rev.Status, rev.Time, rev.Description = r.Info.Status, r.Info.LastDeployed.Time, r.Info.Description
		rev.Interrupted = strings.HasPrefix(r.Info.Description, interrupted)
	}
	if r.Chart != nil && r.Chart.Metadata != nil {
		rev.Chart = r.Chart.Metadata.Name
	}
	return rev
}

// Of tells whether the revision is of a release of the given chart for resources of the given kind (see OwnerOf).
func (r Revision) Of(chart, owner string) bool {
	return (r.Chart == "" || r.Chart == chart) && (r.Owner == "" || r.Owner == owner)
}

// Deployed returns the newest revision in status deployed.
func (h History) Deployed() (Revision, bool) {
	for _, r := range h {
		if r.Status == helmrelease.StatusDeployed {
			return r, true
		}
	}
	return Revision{}, false
}

// EverDeployed tells whether any revision got as far as being deployed.
func (h History) EverDeployed() bool {
	return slices.ContainsFunc(h, func(r Revision) bool {
		return r.Status == helmrelease.StatusDeployed || r.Status == helmrelease.StatusSuperseded
	})
}

// FailedAttempts counts the revisions that failed with the given inputs since the last success
// with them, and tells when the newest of them was made.
func (h History) FailedAttempts(digest string) (count int, last time.Time) {
	for _, r := range h {
		if r.Digest != digest {
			continue
		}
		if r.Status != helmrelease.StatusFailed {
			break
		}
		if r.Interrupted { // no failure of the inputs
			continue
		}
		count++
		if r.Time.After(last) {
			last = r.Time
		}
	}
	return count, last
}

// LastFailure returns the newest revision that failed with the given inputs, not counting those that were interrupted.
func (h History) LastFailure(digest string) (Revision, bool) {
	for _, r := range h {
		if r.Digest == digest && r.Status == helmrelease.StatusFailed && !r.Interrupted {
			return r, true
		}
	}
	return Revision{}, false
}

// Inputs are all that a rendered release depends on.
type Inputs struct {
	ChartDigest  string
	Values       chartutil.Values
	Capabilities *chartutil.Capabilities
}

// Digest returns 32 hexadecimal characters (a label value allows 63).
func (in Inputs) Digest() (string, error) {
	versions := slices.Sorted(slices.Values(in.Capabilities.APIVersions))
	data, err := json.Marshal([]any{in.ChartDigest, in.Values, in.Capabilities.KubeVersion.String(), versions})
	if err != nil {
		return "", fmt.Errorf("digest of release inputs: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16]), nil
}

// interrupted begins the description of an unlocked revision.
const interrupted = "interrupted"

// Verb is an action that runs hooks.
type Verb struct {
	// pending is the status of a revision while the action works on it.
	pending helmrelease.Status
	events  []helmrelease.HookEvent
}

// The verbs.
var (
	Installing = Verb{helmrelease.StatusPendingInstall, []helmrelease.HookEvent{helmrelease.HookPreInstall, helmrelease.HookPostInstall}}
	Upgrading  = Verb{helmrelease.StatusPendingUpgrade, []helmrelease.HookEvent{helmrelease.HookPreUpgrade, helmrelease.HookPostUpgrade}}
	deleting   = Verb{helmrelease.StatusUninstalling, []helmrelease.HookEvent{helmrelease.HookPreDelete, helmrelease.HookPostDelete}}
)

// once tells whether the action runs a hook once. Of a hook that runs before and after it, the record does not tell for
// which of the two it ran last.
func (v Verb) once(h *helmrelease.Hook) bool {
	n := 0
	for _, e := range v.events {
		if slices.Contains(h.Events, e) {
			n++
		}
	}
	return n == 1
}

// FinishedHooks lists the hooks that ran to their end in an action that was interrupted and is to be repeated
// with the same inputs. records are all revisions, newest first: the repetition may have been interrupted, too.
func FinishedHooks(records []*helmrelease.Release, digest string, verb Verb) []*helmrelease.Hook {
	var done []*helmrelease.Hook
	for _, rel := range records {
		if rel.Info == nil || rel.Info.Description != unlocked(verb.pending) || rel.Labels[DigestLabel] != digest {
			break
		}
		for _, h := range rel.Hooks {
			if h.LastRun.Phase == helmrelease.HookPhaseSucceeded && verb.once(h) {
				done = append(done, h)
			}
		}
	}
	return done
}

// Retire takes the hooks that ran to their end in an uninstall that was interrupted out of its record, so that the
// repetition does not run them again, however often it is interrupted itself: Helm notes a hook as running before it does
// anything for it.
func Retire(s *storage.Storage, rel *helmrelease.Release) error {
	if rel.Info == nil || rel.Info.Status != helmrelease.StatusUninstalling {
		return nil
	}
	retired := false
	for _, h := range rel.Hooks {
		// A hook of several events may have run for another one before the uninstall began.
		if h.LastRun.Phase == helmrelease.HookPhaseSucceeded && !h.LastRun.StartedAt.Before(rel.Info.Deleted) && deleting.once(h) {
			h.Events = slices.DeleteFunc(h.Events, func(e helmrelease.HookEvent) bool { return slices.Contains(deleting.events, e) })
			retired = true
		}
	}
	if !retired {
		return nil
	}
	if err := s.Update(rel); err != nil {
		return fmt.Errorf("retire the hooks of revision %d: %w", rel.Version, err)
	}
	return nil
}

// Reinstate makes the newest superseded revision the deployed one again when a process died after it had superseded
// the deployed revision and before it recorded the next one as deployed. Without a deployed revision there would be
// nothing to return to when the next try fails. records are all revisions, newest first; the newest is the one that
// was interrupted.
func Reinstate(s *storage.Storage, records []*helmrelease.Release) error {
	switch records[0].Info.Status {
	case helmrelease.StatusPendingUpgrade, helmrelease.StatusPendingRollback:
	default:
		return nil
	}
	for _, rel := range records[1:] {
		if rel.Info == nil || rel.Info.Status != helmrelease.StatusSuperseded {
			continue
		}
		rel.SetStatus(helmrelease.StatusDeployed, fmt.Sprintf("deployed again: revision %d was interrupted", records[0].Version))
		if err := s.Update(rel); err != nil {
			return fmt.Errorf("reinstate revision %d: %w", rel.Version, err)
		}
		return nil
	}
	return nil
}

// Unlock marks a revision that an earlier process left pending (or uninstalling) as failed, so
// that Helm accepts the next action. It is to be called only by the one that holds the lease.
func Unlock(s *storage.Storage, rel *helmrelease.Release) error {
	was := rel.Info.Status
	rel.SetStatus(helmrelease.StatusFailed, unlocked(was))
	if err := s.Update(rel); err != nil {
		return fmt.Errorf("unlock revision %d (%s): %w", rel.Version, was, err)
	}
	return nil
}

// unlocked describes a revision that was interrupted in a status.
func unlocked(was helmrelease.Status) string {
	return fmt.Sprintf("%s while %s, unlocked by the operator", interrupted, was)
}

// Supersede marks a revision as superseded: of two revisions that claim to be deployed after a
// crash only the newest is.
func Supersede(s *storage.Storage, rel *helmrelease.Release) error {
	rel.SetStatus(helmrelease.StatusSuperseded, "superseded by a newer deployed revision")
	if err := s.Update(rel); err != nil {
		return fmt.Errorf("supersede revision %d: %w", rel.Version, err)
	}
	return nil
}
