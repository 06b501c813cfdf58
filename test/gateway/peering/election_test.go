package peering

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestQuorum(t *testing.T) {
	// The documentation asks for n/2+1 active members.
	for _, test := range []struct {
		known, active int
		want          bool
	}{
		{1, 1, true}, {2, 1, false}, {2, 2, true}, {3, 1, false}, {3, 2, true}, {5, 2, false}, {5, 3, true}, {6, 3, false},
	} {
		assert.Equal(t, test.want, quorum(test.known, test.active), "%d of %d", test.active, test.known)
	}
}

func TestElect(t *testing.T) {
	tests := []struct {
		name       string
		candidates []candidate
		want       string
	}{
		{"alone", []candidate{{"10.0.0.1", 100, true}}, "10.0.0.1"},
		{"nobody active", []candidate{{"10.0.0.1", 100, false}}, ""},
		{"the lowest priority number wins", []candidate{{"10.0.0.1", 100, true}, {"10.0.0.2", 1, true}}, "10.0.0.2"},
		{"of equal priorities the lowest address wins", []candidate{{"10.0.0.10", 100, true}, {"10.0.0.9", 100, true}}, "10.0.0.9"},
		{"the inactive cannot win", []candidate{{"10.0.0.1", 1, false}, {"10.0.0.2", 100, true}, {"10.0.0.3", 100, true}}, "10.0.0.2"},
		{"no quorum of two", []candidate{{"10.0.0.1", 1, false}, {"10.0.0.2", 100, true}}, ""},
		{"gone members count against the quorum", []candidate{
			{"10.0.0.1", 1, false}, {"10.0.0.2", 1, false}, {"10.0.0.3", 1, false}, {"10.0.0.4", 1, true}, {"10.0.0.5", 1, true},
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			chosen, ok := elect(test.candidates)
			assert.Equal(t, test.want, chosen)
			assert.Equal(t, test.want != "", ok)
		})
	}
}

func TestMerge(t *testing.T) {
	one := claim{Epoch: 1, Primary: "10.0.0.1", Priority: 100}
	tests := []struct {
		name       string
		own, other claim
		want       claim
	}{
		{"the other has none", one, claim{Epoch: 7}, one},
		{"there is none yet", claim{Epoch: 7}, claim{Epoch: 7, Primary: "10.0.0.2"}, claim{Epoch: 7, Primary: "10.0.0.2"}},
		{"an earlier election does not count", one, claim{Primary: "10.0.0.9"}, one},
		{"a later election counts", one, claim{Epoch: 2, Primary: "10.0.0.9", Priority: 200}, claim{Epoch: 2, Primary: "10.0.0.9", Priority: 200}},
		{"at once: the priority decides", one, claim{Epoch: 1, Primary: "10.0.0.9", Priority: 1}, claim{Epoch: 1, Primary: "10.0.0.9", Priority: 1}},
		{"at once: the address decides", one, claim{Epoch: 1, Primary: "10.0.0.9", Priority: 100}, one},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, merge(test.own, test.other))
		})
	}
}

// Members that hear each other's claims, in any order, agree in the end.
func TestMergeAgreesInAnyOrder(t *testing.T) {
	claims := rapid.Custom(func(t *rapid.T) claim {
		return claim{
			Epoch:    rapid.Uint64Range(0, 2).Draw(t, "epoch"),
			Primary:  rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "10.0.0.10"}).Draw(t, "primary"),
			Priority: 100,
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := claims.Draw(t, "a"), claims.Draw(t, "b"), claims.Draw(t, "c")
		assert.Equal(t, merge(a, b), merge(b, a))
		assert.Equal(t, merge(merge(a, b), c), merge(a, merge(b, c)))
		assert.Equal(t, a, merge(a, a))
	})
}
