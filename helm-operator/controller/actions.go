package controller

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/apply"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/orphans"
	"github.com/datapower-operator/datapower-operator/helm-operator/release"
	"github.com/datapower-operator/datapower-operator/helm-operator/state"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
)

// deploy installs or upgrades. What the API server would refuse is found out first, so that bad
// input changes nothing.
func (p *pass) deploy(ctx context.Context, actions *action.Client, want *wanted, have *seen, verb string) (bool, error) {
	revision := 1
	if have.deployed != nil {
		revision = have.deployed.Version
	}
	if err := p.render(want, revision); err != nil {
		return false, errors.Join(p.held(err), p.keep(ctx))
	}
	if err := p.check(ctx, actions, want, have); err != nil {
		if passing(err) {
			return false, fmt.Errorf("check what would be applied: %w", err)
		}
		return false, p.failed(want, verb, err)
	}
	if err := p.watchFirst(ctx, actions, want); err != nil {
		return false, err
	}
	if err := p.removeLeftovers(actions, want, have); err != nil {
		return false, err
	}
	rel := p.releaseOf(want)
	run, doing := actions.Upgrade, release.Upgrading
	if !have.history.EverDeployed() || have.history[0].Status == helmrelease.StatusUninstalled {
		run, doing = actions.Install, release.Installing
	}
	actions.SkipHooks(release.FinishedHooks(have.records, want.digest, doing))
	start := p.clock.Now()
	deployed, err := run(rel)
	p.metrics.Acted(verb, p.clock.Since(start), err)
	if contested(err) {
		p.log.Info("somebody else works on this release, looking again", "error", err.Error())
		p.requeue = time.Second
		return false, nil
	}
	if err != nil {
		return false, p.rollBack(actions, want, have, verb, err)
	}
	p.memo.failure = failure{}
	p.verify(actions.Changes())
	if p.memo.inventory, err = actions.Inventory(deployed.Manifest); err != nil {
		return false, err
	}
	p.event(corev1.EventTypeNormal, verb+"Successful", fmt.Sprintf("%s to %s", verb, want.digest),
		describe(actions.Changes(), "nothing to change"))
	p.log.Info("deployed", "action", verb, "changes", apply.Describe(actions.Changes(), 20))
	p.settle(want, deployed, "")
	return false, p.dependents.Ensure(ctx, p.memo.inventory)
}

// watchFirst watches the kinds of what is to be written before it is written, so that no change after the write is missed.
func (p *pass) watchFirst(ctx context.Context, actions *action.Client, want *wanted) error {
	refs, err := actions.Inventory(want.rendered.Manifest)
	if err == nil {
		err = p.dependents.Ensure(ctx, refs)
	}
	if err != nil {
		p.set(status.Irreconcilable, metav1.ConditionTrue, "ClusterError", err.Error())
	}
	return err
}

// check asks the API server what it would refuse, without changing anything. What did not change and is verified is not
// asked for. The first try of a first install asks less, because what it creates can be taken back.
func (p *pass) check(ctx context.Context, actions *action.Client, want *wanted, have *seen) error {
	if have.deployed != nil && have.history[0].Version == have.deployed.Version {
		suspects, err := p.suspects(ctx)
		if err != nil {
			return err
		}
		err = actions.Settle(have.deployed.Manifest, func(ref inventory.Ref) bool {
			_, suspect := suspects[ref]
			return !suspect && p.memo.verified[ref] != ""
		})
		if err != nil {
			return err
		}
	}
	if p.firstTry(want, have) {
		return actions.PreflightFirst(want.rendered.Manifest)
	}
	return actions.Preflight(want.rendered.Manifest, p.deployedInventory(have))
}

// firstTry tells that nothing of the release was ever there or was refused, and that its install does nothing but create
// objects.
func (p *pass) firstTry(want *wanted, have *seen) bool {
	return len(have.records) == 0 && p.chart.Plain() && len(want.rendered.Hooks) == 0 &&
		!meta.IsStatusConditionTrue(p.status.Conditions, status.ReleaseFailed)
}

// releaseOf is what Helm is to deploy. It need not render again what depends on nothing that it knows better.
func (p *pass) releaseOf(want *wanted) action.Release {
	rel := action.Release{
		Chart: p.chart.Copy(), Values: copyValues(want.values), Digest: want.digest, MaxHistory: p.watch.MaxReleaseHistory,
	}
	if p.chart.Plain() && len(want.rendered.Hooks) == 0 {
		rel.Chart, rel.Rendered = want.rendered.Rendered(rel.Chart), want.rendered
	}
	return rel
}

// removeLeftovers deletes objects that a failed or interrupted revision brought and that neither
// the deployed one nor the next has: Helm compares with the deployed revision only and would leave
// them for ever.
func (p *pass) removeLeftovers(actions *action.Client, want *wanted, have *seen) error {
	failed := have.undeployed()
	if len(failed) == 0 {
		return nil
	}
	keep, err := actions.Inventory(want.rendered.Manifest)
	if err != nil {
		return err
	}
	return deleteOthers(actions, failed, append(keep, p.deployedInventory(have)...))
}

// undeployed lists the revisions after the deployed one.
func (s *seen) undeployed() []*helmrelease.Release {
	if s.deployed == nil {
		return s.records
	}
	i := slices.IndexFunc(s.records, func(rec *helmrelease.Release) bool { return rec.Version <= s.deployed.Version })
	return s.records[:max(i, 0)]
}

// deleteOthers deletes the objects of the given revisions that are not in keep.
func deleteOthers(actions *action.Client, records []*helmrelease.Release, keep []inventory.Ref) error {
	for _, rec := range records {
		refs, err := actions.Inventory(rec.Manifest)
		if err != nil {
			return err
		}
		leftovers := map[inventory.Ref]bool{}
		for _, ref := range refs {
			leftovers[ref] = !slices.Contains(keep, ref)
		}
		if err := actions.Delete(rec.Manifest, leftovers); err != nil {
			return fmt.Errorf("delete what revision %d left: %w", rec.Version, err)
		}
	}
	return nil
}

func (p *pass) deployedInventory(have *seen) []inventory.Ref {
	if have.deployed == nil {
		return nil
	}
	return p.memo.inventory
}

// rollBack returns to the revision that was deployed before a failed upgrade.
func (p *pass) rollBack(actions *action.Client, want *wanted, have *seen, verb string, cause error) error {
	history, _, err := actions.Read()
	if err != nil {
		return errors.Join(cause, err)
	}
	leftRevision := len(history) > 0 && (len(have.history) == 0 || history[0].Version != have.history[0].Version)
	if have.deployed != nil && leftRevision {
		start := p.clock.Now()
		err := actions.Rollback(have.deployed.Version, p.watch.MaxReleaseHistory)
		p.metrics.Acted("Rollback", p.clock.Since(start), err)
		if err != nil {
			cause = errors.Join(cause, err)
		} else {
			p.event(corev1.EventTypeWarning, "RolledBack", "Rollback",
				fmt.Sprintf("returned to the state of revision %d after a failed upgrade", have.deployed.Version))
		}
		p.verify(actions.Changes())
	}
	return p.failed(want, verb, cause)
}

// passing tells whether an error says something about the API server of this moment, not about what
// was to be applied.
func passing(err error) bool {
	return apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsConflict(err) ||
		utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || errors.Is(err, context.DeadlineExceeded)
}

// contested tells whether Helm found that another process changed the release meanwhile. Helm has
// no sentinels for two of its three ways to say so.
func contested(err error) bool {
	return err != nil && (errors.Is(err, driver.ErrReleaseExists) ||
		strings.Contains(err.Error(), "another operation (install/upgrade/rollback) is in progress") ||
		strings.Contains(err.Error(), "cannot re-use a name that is still in use"))
}

// failed reports a failed action; the next try comes with backoff or when the inputs change.
func (p *pass) failed(want *wanted, verb string, cause error) error {
	p.memo.failure.count(want.digest, p.clock.Now())
	message := cause.Error()
	p.tellFailure(verb, message)
	p.log.Info("release failed", "action", verb, "attempt", p.memo.failure.attempts, "error", message)
	p.requeue = state.Backoff(p.memo.failure.attempts)
	return nil
}

func (p *pass) tellFailure(verb, message string) {
	reason := verb + "Error"
	p.set(status.ReleaseFailed, metav1.ConditionTrue, reason, message)
	p.set(status.Irreconcilable, metav1.ConditionFalse, reason, "")
	p.set(status.Deployed, metav1.ConditionFalse, reason, "the release does not hold what the resource asks for; see ReleaseFailed")
	p.status.ObservedGeneration = p.cr.GetGeneration()
	p.warnOnce("ReleaseFailed", message)
}

// reportFailure tells that the inputs of today failed when the process that tried them died before it could tell.
func (p *pass) reportFailure(want *wanted, have *seen) {
	told := meta.FindStatusCondition(p.status.Conditions, status.ReleaseFailed)
	if told != nil && told.Status == metav1.ConditionTrue && told.ObservedGeneration == p.cr.GetGeneration() {
		return
	}
	verb := "Install"
	if have.history.EverDeployed() {
		verb = "Upgrade"
	}
	if rev, ok := have.history.LastFailure(want.digest); ok {
		p.tellFailure(verb, rev.Description)
	}
}

// repair brings back objects that are missing or were changed, and removes what a failed revision brought when its
// rollback did not come to that.
func (p *pass) repair(ctx context.Context, actions *action.Client, have *seen) (bool, error) {
	suspects, err := p.suspects(ctx)
	if err != nil {
		return false, err
	}
	start := p.clock.Now()
	changes, err := actions.Repair(have.deployed.Manifest, suspects)
	p.metrics.Acted("Repair", p.clock.Since(start), err)
	p.verify(changes)
	for _, change := range changes {
		if text := apply.Describe([]apply.Change{change}, 1); text != "" {
			p.event(corev1.EventTypeNormal, "DriftCorrected", text, text)
			p.log.Info("corrected drift", "change", text)
			p.metrics.Corrected(change.Ref.Kind)
		}
	}
	if err != nil {
		p.set(status.Irreconcilable, metav1.ConditionTrue, "RepairError", err.Error())
		return false, fmt.Errorf("repair: %w", err)
	}
	if err := deleteOthers(actions, have.undeployed(), p.deployedInventory(have)); err != nil {
		return false, err
	}
	return true, nil
}

// verify remembers the state in which objects were left.
func (p *pass) verify(changes []apply.Change) {
	p.memo.wrote = p.clock.Now()
	for _, ch := range changes {
		if ch.Live != nil {
			p.memo.verified[ch.Ref] = inventory.Fingerprint(ch.Live)
		} else {
			delete(p.memo.verified, ch.Ref)
		}
	}
}

// settle remembers that the release is in sync, so that the next reconcile costs nothing. An empty
// mark says that the cache does not show the stored release yet.
func (p *pass) settle(want *wanted, deployed *helmrelease.Release, mark string) {
	p.memo.digest, p.memo.releaseMark, p.memo.revision = want.digest, mark, deployed.Version
	p.memo.deployed = &status.DeployedRelease{
		Name: deployed.Name, Revision: int64(deployed.Version),
		Chart:           p.chart.Name() + "-" + deployed.Chart.Metadata.Version,
		InventoryDigest: inventory.Digest(p.memo.inventory, p.memo.verified),
	}
	p.reportInSync()
}

func (p *pass) reportInSync() {
	if p.memo.deployed != nil {
		p.status.DeployedRelease = p.memo.deployed
	}
	d := p.status.DeployedRelease
	message := ""
	if d != nil {
		message = fmt.Sprintf("release %s revision %d, chart %s", d.Name, d.Revision, d.Chart)
	}
	if p.lacking == "" {
		p.set(status.Deployed, metav1.ConditionTrue, "UpToDate", message)
	} else {
		p.set(status.Deployed, metav1.ConditionFalse, "KindNotServed", p.lacking)
		p.warnOnce("KindNotServed", p.lacking)
	}
	p.set(status.ReleaseFailed, metav1.ConditionFalse, "UpToDate", "")
	p.set(status.Irreconcilable, metav1.ConditionFalse, "UpToDate", "")
	p.status.ObservedGeneration = p.cr.GetGeneration()
	p.memo.warned = p.raised // what went away is told again when it comes back
}

// uninstall deletes the release and its objects. With wait it returns false until the objects are
// gone.
func (p *pass) uninstall(ctx context.Context, actions *action.Client, wait bool) (bool, error) {
	history, records, err := actions.Read()
	if err != nil {
		return false, err
	}
	if p.memo.lost == nil {
		p.memo.lost = new(p.lost(history))
	}
	if len(history) == 0 || !history[0].Of(p.chart.Name(), release.OwnerOf(p.watch.GroupKind())) {
		return true, nil // nothing of ours
	}
	actions.TolerateUnknownKinds() // objects of a kind that is gone are gone, too
	if history[0].Status != helmrelease.StatusUninstalled {
		keep, err := actions.Inventory(records[0].Manifest)
		if err != nil {
			return false, err
		}
		if err := deleteOthers(actions, records[1:], keep); err != nil {
			return false, err
		}
		if err := release.Retire(actions.Storage(), records[0]); err != nil {
			return false, err
		}
		start := p.clock.Now()
		err = actions.Uninstall(wait)
		p.metrics.Acted("Uninstall", p.clock.Since(start), err)
		if err != nil {
			return false, err
		}
		p.event(corev1.EventTypeNormal, "UninstallSuccessful", "Uninstall", describe(actions.Changes(), "the release is gone"))
	}
	if !wait {
		return true, nil
	}
	left, err := actions.Remaining(ctx, records[0].Manifest)
	if err != nil || left > 0 {
		return false, err
	}
	return true, actions.Uninstall(false)
}

// lost tells whether the revision that was deployed last is not in the history: in a foreground deletion the garbage
// collector takes the release Secrets before the release is uninstalled.
func (p *pass) lost(history release.History) bool {
	d := p.status.DeployedRelease
	return d != nil && !slices.ContainsFunc(history, func(r release.Revision) bool { return int64(r.Version) == d.Revision })
}

// deleteOrphans deletes what nobody but the owner mark connects with the resource.
func (p *pass) deleteOrphans(ctx context.Context, actions *action.Client) error {
	refs, err := p.orphans(ctx, p.cr.GetUID())
	if err != nil || len(refs) == 0 {
		return err
	}
	manifest, err := orphans.Manifest(refs)
	if err != nil {
		return err
	}
	before, chosen := len(actions.Changes()), map[inventory.Ref]bool{}
	for _, ref := range refs {
		chosen[ref] = true
	}
	if err := actions.Delete(manifest, chosen); err != nil {
		return fmt.Errorf("delete what the lost release left: %w", err)
	}
	text := describe(actions.Changes()[before:], "nothing was left")
	p.event(corev1.EventTypeNormal, "OrphansDeleted", "Uninstall", text)
	p.log.Info("the record of the release was gone; deleted what carries its mark", "changes", text)
	return nil
}

// ensureGenerated creates the Secrets that are filled with random text once. They are owned by the
// resource and never changed afterwards.
func (p *pass) ensureGenerated(ctx context.Context) error {
	generated, err := p.mapper.Generated(p.cr)
	if err != nil {
		return err
	}
	for _, g := range generated {
		ref := mapper.Reference{GroupVersionKind: corev1.SchemeGroupVersion.WithKind("Secret"), Name: g.Name}
		if _, found, err := p.references.Owner(ctx, ref, p.cr.GetNamespace()); err != nil || found {
			if err != nil {
				return err
			}
			continue
		}
		if err := p.createGenerated(ctx, g); err != nil {
			return fmt.Errorf("create generated Secret %s: %w", g.Name, err)
		}
	}
	return nil
}

func (p *pass) createGenerated(ctx context.Context, g mapper.GeneratedSecret) error {
	text, err := randomText(g.Length)
	if err != nil {
		return err
	}
	owner := apply.OwnerOf(p.cr)
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: g.Name, Namespace: p.cr.GetNamespace(),
			Labels:          map[string]string{inventory.OwnerUIDLabel: string(owner.UID)},
			OwnerReferences: []metav1.OwnerReference{owner.Reference()},
		},
		Data: map[string][]byte{g.Key: []byte(text)},
	}
	err = p.client.Create(ctx, s, client.FieldOwner(apply.FieldManager))
	if apierrors.IsAlreadyExists(err) { // the cache lags, or somebody provided it
		return nil
	}
	if err == nil {
		p.event(corev1.EventTypeNormal, "SecretGenerated", "Generate "+g.Name, "created Secret "+g.Name)
	}
	return err
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func randomText(length int) (string, error) {
	out := make([]byte, length)
	for i := range out {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			return "", fmt.Errorf("read random numbers: %w", err)
		}
		out[i] = alphabet[n.Int64()]
	}
	return string(out), nil
}

func describe(changes []apply.Change, none string) string {
	if text := apply.Describe(changes, 15); text != "" {
		return text
	}
	return none
}
