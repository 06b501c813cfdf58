package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/chartutil"
	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/dependents"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/release"
	"github.com/datapower-operator/datapower-operator/helm-operator/render"
	"github.com/datapower-operator/datapower-operator/helm-operator/state"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

// maxSteps bounds the actions of one reconcile: unlock, act, look.
const maxSteps = 4

// takenRetry is how often a name that another resource has is tried again: no event tells when it
// becomes free.
const takenRetry = time.Minute

// wanted is what the custom resource asks for today.
type wanted struct {
	values       chartutil.Values
	capabilities *chartutil.Capabilities
	digest       string
	// rendered is filled when first needed.
	rendered render.Result
}

// seen is what Helm's storage holds of the release.
type seen struct {
	history release.History
	records []*helmrelease.Release
	// deployed is the record that is deployed, nil when none is.
	deployed *helmrelease.Release
}

// converge takes the release to what the resource asks for.
func (p *pass) converge(ctx context.Context) error {
	want, err := p.want(ctx)
	if err != nil {
		return errors.Join(p.held(err), p.keep(ctx))
	}
	settled, err := p.settled(ctx, want)
	if err != nil || settled {
		return err
	}
	actions, err := p.helm(ctx)
	if err != nil {
		return err
	}
	for range maxSteps {
		again, err := p.step(ctx, actions, want)
		if err != nil || !again {
			return err
		}
	}
	p.requeue = time.Second
	return nil
}

// settled tells, from caches alone, that nothing changed since the release was last seen in sync.
func (p *pass) settled(ctx context.Context, want *wanted) (bool, error) {
	stored, err := p.dependents.Release(ctx, p.cr.GetNamespace(), p.cr.GetUID())
	if err != nil {
		return false, err
	}
	if p.memo.digest == "" {
		if err := p.recall(ctx, want, stored); err != nil {
			return false, err
		}
	}
	if p.memo.digest != want.digest || !p.storedAsKnown(stored) {
		return false, nil
	}
	suspects, err := p.suspects(ctx)
	if err != nil {
		return false, err
	}
	if len(suspects) > 0 {
		left := p.untilCachesShow()
		if left <= 0 {
			return false, nil
		}
		p.requeue = left
	}
	p.metrics.Skipped()
	p.reportInSync()
	return true, nil
}

// cacheLag is how long caches are given to show what was written. Until then an object that is not
// there, or is not what was written, is no drift. What somebody undoes right after a write is back within 2 s.
const cacheLag = 1500 * time.Millisecond

// untilCachesShow is what is left of that time after the last write; not positive when it is over.
func (p *pass) untilCachesShow() time.Duration { return cacheLag - p.clock.Since(p.memo.wrote) }

// storedAsKnown tells whether the cache shows the release as it was left.
func (p *pass) storedAsKnown(stored dependents.Release) bool {
	if p.memo.releaseMark != "" {
		return p.memo.releaseMark == stored.Mark
	}
	latest := stored.Latest
	if latest.Version == p.memo.revision && latest.Status == helmrelease.StatusDeployed.String() {
		p.memo.releaseMark = stored.Mark
		return true
	}
	left := p.untilCachesShow()
	if latest.Version > p.memo.revision || left <= 0 {
		return false
	}
	p.requeue = left
	return true
}

// recall restores what an earlier process knew, without a request: when the newest revision is deployed and the objects
// are in the state whose digest is in the status, they are what they were when they were verified. With the inputs of
// today, the release is in sync.
func (p *pass) recall(ctx context.Context, want *wanted, stored dependents.Release) error {
	known := p.status.DeployedRelease
	if known == nil || known.InventoryDigest == "" || int64(stored.Latest.Version) != known.Revision ||
		stored.Latest.Status != helmrelease.StatusDeployed.String() {
		return nil
	}
	refs, err := p.recorded(want, stored.Latest)
	if err != nil || refs == nil {
		return nil //nolint:nilerr // the long way tells what is wrong
	}
	if err := p.dependents.Ensure(ctx, refs); err != nil {
		return err
	}
	fingerprints := map[inventory.Ref]string{}
	for _, ref := range refs {
		m, found, err := p.dependents.Get(ctx, ref)
		if err != nil {
			return err
		}
		if found {
			fingerprints[ref] = inventory.Fingerprint(m)
		}
	}
	if inventory.Digest(refs, fingerprints) != known.InventoryDigest {
		return nil
	}
	p.memo.inventory, p.memo.verified = refs, fingerprints
	if stored.Latest.Digest == want.digest {
		p.memo.digest, p.memo.releaseMark, p.memo.deployed = want.digest, stored.Mark, known
	}
	return nil
}

// recorded lists the objects of the newest revision as its record has them. An older operator left no such list, but what
// was rendered from the inputs of today can be rendered again.
func (p *pass) recorded(want *wanted, latest dependents.Revision) ([]inventory.Ref, error) {
	if latest.Inventory != "" {
		return inventory.Decode(latest.Inventory)
	}
	if latest.Digest != want.digest {
		return nil, nil
	}
	if err := p.render(want, latest.Version); err != nil {
		return nil, err
	}
	return p.refsOf(want.rendered.Manifest)
}

// refsOf lists the objects of a manifest.
func (p *pass) refsOf(manifest string) ([]inventory.Ref, error) {
	objects, err := inventory.Parse(manifest)
	if err != nil {
		return nil, err
	}
	refs := make([]inventory.Ref, 0, len(objects))
	for _, u := range objects {
		namespaced, err := apiutil.IsObjectNamespaced(u, p.client.Scheme(), p.client.RESTMapper())
		if err != nil {
			return nil, fmt.Errorf("look up kind %s: %w", u.GetKind(), err)
		}
		refs = append(refs, inventory.RefOf(u, namespaced, p.cr.GetNamespace()))
	}
	return refs, nil
}

func (p *pass) suspects(ctx context.Context) (map[inventory.Ref]inventory.Finding, error) {
	return inventory.Compare(p.memo.inventory, p.memo.verified,
		func(ref inventory.Ref) (*metav1.PartialObjectMetadata, bool, error) {
			return p.dependents.Get(ctx, ref)
		})
}

// step looks at the release, decides and acts once. It returns true when another look is due.
func (p *pass) step(ctx context.Context, actions *action.Client, want *wanted) (bool, error) {
	// The mark is taken before the look, so that what changes meanwhile is seen next time.
	stored, err := p.dependents.Release(ctx, p.cr.GetNamespace(), p.cr.GetUID())
	if err != nil {
		return false, err
	}
	have, err := p.observe(ctx, actions)
	if err != nil {
		return false, err
	}
	in, err := p.input(ctx, want, have)
	if err != nil {
		return false, errors.Join(p.held(err), p.keep(ctx))
	}
	decision := state.Decide(in)
	p.metrics.Decided(string(decision.State), string(decision.Cause))
	p.log.V(1).Info("decided", "state", decision.State, "reason", decision.Reason)
	switch decision.State {
	case state.NotInstalled:
		return p.deploy(ctx, actions, want, have, "Install")
	case state.OutOfDate, state.Failed:
		return p.deploy(ctx, actions, want, have, "Upgrade")
	case state.Drifted:
		return p.repair(ctx, actions, have)
	case state.Interrupted:
		p.event(corev1.EventTypeWarning, "Unlocked", "Unlock", decision.Reason)
		p.log.Info("unlocking a release that an interrupted action left", "reason", decision.Reason)
		if have.deployed == nil {
			if err := release.Reinstate(actions.Storage(), have.records); err != nil {
				return false, err
			}
		}
		return true, release.Unlock(actions.Storage(), have.records[0])
	case state.Taken:
		p.set(status.Irreconcilable, metav1.ConditionTrue, "ReleaseNameTaken", decision.Reason)
		p.warnOnce("ReleaseNameTaken", decision.Reason)
		p.requeue = takenRetry
	case state.BackingOff:
		p.requeue = decision.Wait
		p.reportFailure(want, have)
	case state.InSync:
		p.settle(want, have.deployed, stored.Mark)
	}
	return false, nil
}

// observe reads the release history and makes sure that at most one revision counts as deployed.
func (p *pass) observe(ctx context.Context, actions *action.Client) (*seen, error) {
	history, records, err := actions.Read()
	if err != nil {
		return nil, err
	}
	have := &seen{history: history, records: records}
	for _, rec := range records {
		if rec.Info == nil || rec.Info.Status != helmrelease.StatusDeployed {
			continue
		}
		if have.deployed == nil {
			have.deployed = rec
			continue
		}
		if err := release.Supersede(actions.Storage(), rec); err != nil {
			return nil, err
		}
	}
	if have.deployed == nil {
		return have, nil
	}
	refs, err := actions.Inventory(have.deployed.Manifest)
	if err != nil {
		return nil, err
	}
	if err := p.dependents.Ensure(ctx, refs); err != nil {
		return nil, err
	}
	p.memo.inventory = refs
	return have, nil
}

func (p *pass) input(ctx context.Context, want *wanted, have *seen) (state.Input, error) {
	in := state.Input{Chart: p.chart.Name(), Owner: release.OwnerOf(p.watch.GroupKind()), Digest: want.digest, History: have.history, Now: p.clock.Now()}
	in.Attempts, in.LastAttempt = p.memo.failure.of(want.digest)
	if have.deployed == nil {
		return in, nil
	}
	suspects, err := p.suspects(ctx)
	if err != nil {
		return in, err
	}
	in.Suspects = len(suspects)
	if have.deployed.Labels[release.DigestLabel] != want.digest {
		if err := p.render(want, have.deployed.Version); err != nil {
			return in, err
		}
		in.SameManifest = want.rendered.Same(have.deployed)
	}
	return in, nil
}

// render renders what is wanted as the given revision would have been (1 for a first install).
func (p *pass) render(want *wanted, revision int) error {
	if want.rendered.Manifest != "" {
		return nil
	}
	opts := chartutil.ReleaseOptions{Name: release.NameFor(p.cr.GetName()), Namespace: p.cr.GetNamespace(), Revision: 1, IsInstall: true}
	if revision > 1 {
		opts.Revision, opts.IsInstall, opts.IsUpgrade = revision, false, true
	}
	req := render.Request{
		Chart: p.chart.Copy(), Values: copyValues(want.values), Release: opts, Capabilities: want.capabilities, Valid: p.chart.Valid,
	}
	if p.watch.DryRunOption == watches.DryRunServer {
		req.Lookup = p.config
	}
	start := p.clock.Now()
	out, err := render.Render(req)
	p.metrics.Rendered(p.clock.Since(start))
	if err != nil {
		return &mapper.HoldError{Reason: "RenderError", Message: err.Error()}
	}
	want.rendered = out
	return nil
}

// want gathers the inputs of the release.
func (p *pass) want(ctx context.Context) (*wanted, error) {
	refs, err := p.mapper.References(p.cr)
	if err != nil {
		return nil, err
	}
	if err := p.references.Register(ctx, client.ObjectKeyFromObject(p.cr), refs); err != nil {
		return nil, err
	}
	if err := p.ensureGenerated(ctx); err != nil {
		return nil, err
	}
	mapped, err := p.mapper.Map(ctx, p.cr, p.references)
	if err != nil {
		return nil, err
	}
	spec, _, err := unstructured.NestedMap(p.cr.Object, "spec")
	if err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	if mapped != nil {
		mapped = map[string]any{mapper.ValuesKey: mapped}
	}
	vals, err := p.overrides.Merge(spec, mapped)
	if err != nil {
		return nil, &mapper.HoldError{Reason: "ValuesError", Message: err.Error()}
	}
	caps, err := p.actions.Capabilities()
	if err != nil {
		return nil, err
	}
	if p.lacking, err = p.missingKinds(caps); err != nil {
		return nil, err
	}
	digest, err := release.Inputs{ChartDigest: p.chart.Digest(), Values: vals, Capabilities: caps}.Digest()
	if err != nil {
		return nil, err
	}
	return &wanted{values: vals, capabilities: caps, digest: digest}, nil
}

// missingKinds tells which kinds the chart leaves out, because the API server does not serve them.
func (p *pass) missingKinds(caps *chartutil.Capabilities) (string, error) {
	needer, ok := p.mapper.(mapper.Needer)
	if !ok {
		return "", nil
	}
	needs, err := needer.Needs(p.cr)
	if err != nil {
		return "", err
	}
	var missing []string
	for _, n := range needs {
		served := slices.ContainsFunc(n.Versions, func(v string) bool {
			return caps.APIVersions.Has(n.Group + "/" + v + "/" + n.Kind)
		})
		if !served {
			missing = append(missing, fmt.Sprintf("%s (CustomResourceDefinition %s, version %s)",
				n.Kind, n.Definition, strings.Join(n.Versions, " or ")))
		}
	}
	if len(missing) == 0 {
		return "", nil
	}
	return fmt.Sprintf("the API server does not serve %s; the rest is deployed, and this is added as soon as it does",
		strings.Join(missing, ", ")), nil
}

// held reports that the resource can't be rendered now; what is deployed stays. Errors of the
// cluster are returned, so that they are retried.
func (p *pass) held(err error) error {
	var hold *mapper.HoldError
	if !errors.As(err, &hold) {
		p.set(status.Irreconcilable, metav1.ConditionTrue, "ClusterError", err.Error())
		return err
	}
	p.set(status.Irreconcilable, metav1.ConditionTrue, hold.Reason, hold.Message)
	p.set(status.Deployed, metav1.ConditionFalse, hold.Reason, hold.Message)
	p.status.ObservedGeneration = p.cr.GetGeneration()
	if !hold.Told {
		p.warnOnce(hold.Reason, hold.Message)
	}
	return nil
}

// keep repairs what is deployed while nothing new can be deployed.
func (p *pass) keep(ctx context.Context) error {
	if p.memo.inventory != nil {
		if suspects, err := p.suspects(ctx); err != nil || len(suspects) == 0 {
			return err
		}
	}
	actions, err := p.helm(ctx)
	if err != nil {
		return err
	}
	have, err := p.observe(ctx, actions)
	if err != nil || have.deployed == nil {
		return err
	}
	suspects, err := p.suspects(ctx)
	if err != nil || len(suspects) == 0 {
		return err
	}
	_, err = p.repair(ctx, actions, have)
	return err
}

func copyValues(v chartutil.Values) chartutil.Values { return runtime.DeepCopyJSON(v) }

// warnOnce emits a Warning event unless the same was told since all was well.
func (p *pass) warnOnce(reason, message string) {
	key := reason + ": " + message
	if !p.memo.warned[key] {
		p.event(corev1.EventTypeWarning, reason, message, message)
	}
	p.memo.warned[key], p.raised[key] = true, true
}
