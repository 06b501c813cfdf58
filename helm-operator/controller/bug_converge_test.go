package controller

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
)

// While the chart refuses a new spec, step returns before it looks at drift: what is deployed is not kept right, as it
// is while a reference is missing or an upgrade waits.
func TestDriftIsRepairedWhileTheChartRefusesTheSpec(t *testing.T) {
	o := newOperator(t)
	o.want("a=1", "b=1")
	o.settles()
	o.want("a=refused", "b=1")
	o.settles()
	o.server.Remove(configMapKind, "prod", "b")
	o.settles()
	assert.Equal(t, "a=1 b=1", o.data())
	assert.Contains(t, o.told("Irreconcilable"), "True RenderError")
}

// A release whose record says uninstalled is upgraded when older revisions are superseded, which Helm refuses ("has no
// deployed releases") for ever. It happens when hibernation that waits for the objects to go is ended early, and after
// helm uninstall --keep-history.
func TestAnUninstalledReleaseThatHadSeveralRevisionsIsInstalledAgain(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.want("a=2")
	o.settles()
	require.NoError(t, o.helm().Uninstall(true))
	assert.Equal(t, "2 uninstalled, 1 superseded", o.history())
	assert.Zero(t, o.settles())
	assert.Equal(t, "a=2", o.data())
	assert.Contains(t, o.told("Deployed"), "True")
}

// settle notes the mark of the release Secrets as it is after the look at them. What changes in between is covered by
// the mark and never seen: the event finds all settled.
func TestARevisionThatVanishesDuringTheLastLookIsMissed(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	lists := 0
	o.caches.onList = func() {
		if lists++; lists == 2 { // the first is the look whether all is settled, the second is settle's
			o.server.Remove(secretKind, "prod", "sh.helm.release.v1.gw.v1")
		}
	}
	o.settles()
	require.Equal(t, 2, lists)
	o.caches.onList = nil
	o.settles() // the event of the deletion
	assert.Equal(t, "1 deployed", o.history())
}

// A second kind's resource of the same name waits for ever once the first is gone: nothing reconciles it.
func TestANameThatIsTakenIsTriedAgain(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.useChart("other")
	o.restart()
	assert.Positive(t, o.settles(), "no event of ours tells when the name becomes free")
}

// Somebody deletes the Secret of the newest revision: what is left is superseded.
func TestAReleaseThatLostItsNewestRevisionIsDeployedAgain(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.want("a=2")
	o.settles()
	o.server.Remove(secretKind, "prod", "sh.helm.release.v1.gw.v2")
	assert.Zero(t, o.settles())
	assert.Contains(t, o.history(), "2 deployed")
	assert.Equal(t, "a=2", o.data())
	o.leave(helmrelease.StatusSuperseded)
	assert.Zero(t, o.settles())
	assert.Contains(t, o.history(), "3 deployed")
}
