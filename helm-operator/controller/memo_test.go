package controller

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/types"
)

func TestAMemoIsKeptForItsResource(t *testing.T) {
	var m memos
	first := m.get(gw, "uid-1")
	first.digest = "seen"
	assert.Same(t, first, m.get(gw, "uid-1"))
	other := types.NamespacedName{Namespace: "prod", Name: "other"}
	assert.NotSame(t, first, m.get(other, "uid-1"))
	assert.Empty(t, m.get(other, "uid-1").digest)
}

func TestALaterResourceOfTheSameNameKnowsNothing(t *testing.T) {
	var m memos
	m.get(gw, "uid-1").digest = "seen"
	later := m.get(gw, "uid-2")
	assert.Empty(t, later.digest)
	assert.NotNil(t, later.verified)
	assert.NotNil(t, later.warned)
	assert.Same(t, later, m.get(gw, "uid-2"))
	assert.Empty(t, m.get(gw, "uid-1").digest, "and the earlier one is gone")
}

func TestAForgottenResourceLeavesNothing(t *testing.T) {
	var m memos
	m.get(gw, "uid-1").digest = "seen"
	m.forget(gw)
	assert.Empty(t, m.all)
	m.forget(gw)
	assert.Empty(t, m.get(gw, "uid-1").digest)
}

func TestMemosMayBeUsedAtTheSameTime(t *testing.T) {
	var (
		m  memos
		wg sync.WaitGroup
	)
	for i := range 8 {
		wg.Go(func() {
			name := types.NamespacedName{Name: fmt.Sprint(i % 4)}
			for range 50 {
				assert.EqualValues(t, "uid", m.get(name, "uid").uid)
				m.forget(name)
			}
		})
	}
	wg.Wait()
}

func TestFailuresAreCountedPerInputs(t *testing.T) {
	var f failure
	attempts, last := f.of("now")
	assert.Zero(t, attempts)
	assert.True(t, last.IsZero())

	f.count("now", noon)
	f.count("now", noon.Add(time.Minute))
	attempts, last = f.of("now")
	assert.Equal(t, 2, attempts)
	assert.Equal(t, noon.Add(time.Minute), last)

	attempts, last = f.of("other inputs")
	assert.Zero(t, attempts)
	assert.True(t, last.IsZero())

	f.count("other inputs", noon.Add(time.Hour))
	attempts, _ = f.of("other inputs")
	assert.Equal(t, 1, attempts, "new inputs begin anew")
	attempts, _ = f.of("now")
	assert.Zero(t, attempts)
}
