package controller

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is deployed is kept right while the chart refuses a new spec, as it is while a reference is missing or an
// upgrade waits.
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

// Helm refuses to upgrade a release whose newest record says uninstalled ("has no deployed releases"). It is met when
// hibernation that waits for the objects to go is ended early, and after helm uninstall --keep-history.
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

// The mark of the release Secrets must be as old as the look at them: a newer one covers what changed in between, and
// the event of that change finds all settled.
func TestARevisionThatVanishesDuringTheLastLookIsNotMissed(t *testing.T) {
	o := newOperator(t)
	for _, entry := range []string{"a=1", "a=2"} {
		o.want(entry)
		o.settles()
	}
	o.wait(time.Hour)
	o.server.Remove(configMapKind, "prod", "a")
	lists := 0
	o.caches.onList = func() {
		if lists++; lists == 2 { // the first is the look whether all is settled, the second is the last one
			o.server.Remove(secretKind, "prod", "sh.helm.release.v1.gw.v2")
		}
	}
	o.settles()
	require.GreaterOrEqual(t, lists, 2)
	o.caches.onList = nil
	o.wait(time.Hour)
	o.settles() // the event of the deletion
	assert.Contains(t, o.history(), "2 deployed")
}

// Nothing reconciles a second kind's resource of the same name when the first is gone.
func TestANameThatIsTakenIsTriedAgain(t *testing.T) {
	o := newOperator(t)
	o.want("a=1")
	o.settles()
	o.useChart("other")
	o.restart()
	assert.Positive(t, o.settles(), "no event of ours tells when the name becomes free")
}
